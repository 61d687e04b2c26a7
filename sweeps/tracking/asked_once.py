"""Requests to MLflow that must not be sent again of their own accord."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
"""How often MLflow's client sends a request again that was not answered."""


@contextmanager
def asked_once() -> Iterator[None]:
    """In the block a request is sent once: where an answer was lost, asking again creates twice.

    Whoever creates something looks first whether it is there, and does so again the next time.
    """
    before = os.environ.get(RETRIES)
    os.environ[RETRIES] = "0"  # MLflow reads it at each request
    try:
        yield
    finally:
        if before is None:
            del os.environ[RETRIES]
        else:
            os.environ[RETRIES] = before
