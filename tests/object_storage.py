"""An S3 server of the tests' own, in memory."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from moto.server import ThreadedMotoServer

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests-only"}


@contextmanager
def s3_folder(name: str = "team/results") -> Iterator[str]:
    """The address of an empty folder in a new bucket; this process may use it."""
    import boto3

    bucket = f"sweeps-{uuid.uuid4().hex[:8]}"  # all servers of a process have the same buckets
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        with patch.dict(os.environ, CREDENTIALS):
            client = boto3.client(
                "s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1"
            )
            client.create_bucket(Bucket=bucket)
            options = f"endpoint_override={host}:{port}&scheme=http&region=us-east-1"
            yield f"s3://{bucket}/{name}?{options}"
    finally:
        server.stop()
