"""A Ray cluster's job server: the one a sweep's jobs are given to, followed at and stopped at."""

import asyncio
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet_core.credentials import without_credentials
from sweeps.ray_access import ADVICE, is_loopback, token_file

if TYPE_CHECKING:
    from ray.job_submission import JobDetails

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
STOP_SECONDS = 150
"""From the signal that ends a job's driver until it is killed: trials finish their step and write
a checkpoint, and the tracker sends what it has for at most two minutes."""
_SWEEP = "sweep"  # the key of a job's metadata
_LOOK_SECONDS = 1.0
_KILLED = 137  # by SIGKILL, as a shell tells it
_TIMEOUT_SECONDS = 10.0


class NoJobServer(RuntimeError):
    """No Ray cluster takes jobs at this address, or answers no more; says what is wrong."""


class InvalidAddress(ValueError):
    """No address of a web server."""


@dataclass(frozen=True)
class JobEnd:
    """How a job has ended.

    Attributes:
        exit_status: Of its driver; None if it was stopped, killed, or never started.
        message: Ray's, about what went wrong.
    """

    exit_status: int | None
    message: str


def address_of(given: str | None, of_profile: str | None = None) -> str:
    """As given, else as the profile or ``$RAY_API_SERVER_ADDRESS`` says, else this machine's.

    Raises:
        InvalidAddress: If it is no ``http://`` address, as that of the cluster's GCS.
    """
    address = given or of_profile or os.environ.get("RAY_API_SERVER_ADDRESS") or DEFAULT_ADDRESS
    if not address.startswith(("http://", "https://")):
        raise InvalidAddress(
            f"{without_credentials(address)!r} is no address of a dashboard; write it as "
            f"{DEFAULT_ADDRESS}"
        )
    return address.rstrip("/")


class JobServer:
    """What answers at a dashboard's address.

    Raises:
        NoJobServer: If nothing does, or it does not let this user in; so do all methods.
    """

    def __init__(self, address: str) -> None:
        # Ray's clients bring no token unless they are told to, even where one lies ready.
        if "RAY_AUTH_TOKEN" in os.environ or token_file() is not None:
            os.environ.setdefault("RAY_AUTH_MODE", "token")
        self.address = address
        from ray.job_submission import JobSubmissionClient

        logging.getLogger("ray").setLevel(logging.WARNING)  # it tells of each upload
        with _asking(address):
            self._client = JobSubmissionClient(address)

    def submit(self, sweep: str, command: str, folder: Path, env_vars: dict[str, str]) -> str:
        """Give it a job; the job's id.

        Args:
            sweep: Its name.
            command: For a shell in the job's working directory.
            folder: Becomes that directory.
            env_vars: Of the driver and, beside the cluster's own, of every process it starts.
        """
        stop = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS)}
        with _asking(self.address):
            return self._client.submit_job(
                entrypoint=command,
                submission_id=f"{sweep}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}",
                runtime_env={"working_dir": str(folder), "env_vars": stop | env_vars},
                metadata={_SWEEP: sweep},
            )

    def running(self, sweep: str) -> list[str]:
        """The ids of the sweep's jobs that have not ended."""
        with _asking(self.address):
            jobs: list[JobDetails] = self._client.list_jobs()
        return [
            str(job.submission_id)
            for job in jobs
            if (job.metadata or {}).get(_SWEEP) == sweep and not job.status.is_terminal()
        ]

    def follow(self, job: str) -> Iterator[str]:
        """What its driver writes, until it ends."""
        lines: Any = self._client.tail_job_logs(job)
        with asyncio.Runner() as runner:
            while True:
                with _asking(self.address):
                    try:
                        text = runner.run(anext(lines))
                    except StopAsyncIteration:
                        return
                yield text

    def wait(self, job: str) -> JobEnd:
        """Wait until it has ended."""
        while True:
            with _asking(self.address):
                info = self._client.get_job_info(job)
            if info.status.is_terminal():
                break
            time.sleep(_LOOK_SECONDS)
        status = info.driver_exit_code
        was_killed = status is not None and (status < 0 or status == _KILLED)
        return JobEnd(None if was_killed else status, without_credentials(info.message or ""))

    def stop(self, job: str) -> None:
        """Tell its driver to end, and wait until it has."""
        with _asking(self.address):
            self._client.stop_job(job)
        self.wait(job)

    def log_command(self, job: str) -> str:
        """Shows the job's log, in Ray's own words."""
        return f"ray job logs --follow --address {self.address} {job}"

    def how_to_follow(self, job: str) -> str:
        """The same, said to a user."""
        return f"watch it with: {self.log_command(job)}"

    def page(self, job: str) -> str:
        """The job's page of the dashboard."""
        return f"{self.address}/#/jobs/{job}"


@contextmanager
def _asking(address: str) -> Iterator[None]:
    """Whatever may go wrong between here and a server, told as one thing."""
    from aiohttp import ClientError
    from ray.exceptions import RayError

    try:
        yield
    except (OSError, RuntimeError, ValueError, RayError, ClientError) as error:
        raise NoJobServer(_why_not(address, error)) from error


def warning_of(address: str) -> str | None:
    """What is to be said before a sweep is given to this job server; None if nothing."""
    host = address.split("://", 1)[-1].split("/", 1)[0]
    if is_loopback(host) or not answers_without_token(address):
        return None
    return (
        f"the Ray cluster at {address} asks for no token: whoever reaches it can run code "
        f"on it and read this sweep; {ADVICE}"
    )


def answers_without_token(address: str) -> bool:
    """Whether the server lists its jobs to somebody who brings no token."""
    import requests

    try:
        answer = requests.get(f"{address}/api/jobs/", timeout=_TIMEOUT_SECONDS)
    except (requests.RequestException, ValueError):
        return False
    return answer.status_code == requests.codes.ok


def _why_not(address: str, error: Exception) -> str:
    reason = next(iter(without_credentials(str(error)).splitlines()), type(error).__name__)
    if isinstance(error, json.JSONDecodeError):
        reason = "what answers is no Ray (a login page?)"
    if "401" in str(error) or "403" in str(error) or "oken" in str(error):
        fix = "set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH, to the cluster's token"
    else:
        fix = (
            "give the address of the cluster's dashboard with --address, a profile or "
            "RAY_API_SERVER_ADDRESS; is it reached from here (kubectl port-forward, ray dashboard)?"
        )
    return f"no Ray cluster takes a job at {without_credentials(address)}: {reason}; {fix}"
