"""Processes that are killed, each of them known by the steps that it has taken."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from subprocess import Popen
from typing import TypeVar

import pytest

from sweeps.spool import Spool
from tests.e2e import conftest as e2e
from tests.e2e.conftest import TIMEOUT_SECONDS, Cluster, Home, ray_head
from tests.e2e.nodes import assert_given_back, state_of
from tests.faults.oracles import assert_nothing_left_in, assert_undisturbed, trial_folder
from tests.faults.table import Outcome

home = e2e.home
RATES = (0.02, 0.05)
"""The learning rates of the trials of `SPACE`: the recipe and one other."""
SPACE = "space: {optimizer.decoupled_sgdw.learning_rate: {grid: [0.05]}}\n"
SPACE += "search: {algorithm: grid}\n"
ONE_TRIAL = "space: {seed: {grid: [1]}}\nsearch: {algorithm: random, trials: 1}\n"
"""Only the recipe."""
STEPS_PER_EPOCH = 30
"""Of the recipe of `Home`."""
EVERY_EPOCH = "storage: {checkpoint_share: 1}\n"


@dataclass(frozen=True)
class Step:
    """An optimizer step that a process has taken; counted from 1."""

    seed: int
    learning_rate: float
    scale: float  # of a schedule that is stretched, else 1
    number: int
    rank: int
    pid: int

    def is_like(self, other: "Step") -> bool:
        """Whether it is of the same worker of the same trial, be it another process."""
        mine, others = replace(self, number=0, pid=0), replace(other, number=0, pid=0)
        return mine == others


@dataclass
class StepTrace:
    """Every step that was taken since the test began, by whichever process; see ``trace``."""

    file: Path
    _known: list[Step] = field(default_factory=list)
    _num_bytes: int = 0  # that were read

    def read(self) -> list[Step]:
        with self.file.open() as file:
            file.seek(self._num_bytes)
            text = file.read()
        whole = text[: text.rfind("\n") + 1]
        self._num_bytes += len(whole)
        for line in whole.splitlines():
            seed, rate, scale, number, rank, pid = line.split()
            self._known.append(
                Step(int(seed), float(rate), float(scale), int(number), int(rank), int(pid))
            )
        return self._known

    def forget(self) -> None:
        """Begin anew, while nothing is trained."""
        self.file.write_text("")
        self._known, self._num_bytes = [], 0

    def repeated(self) -> int:
        """How many steps were taken again, of the worker that took most of them again."""
        taken = Counter(replace(step, pid=0) for step in self.read())
        again: Counter[int] = Counter()
        for step, times in taken.items():
            again[step.rank] += times - 1
        return max(again.values(), default=0)

    def wait_for(self, process: Popen[str], *, rate: float, number: int, rank: int = 0) -> Step:
        """The first step from ``number`` on of the trial with this learning rate.

        Trainings are short: one that must not be over by then is `held` there.
        """

        def look() -> Step | None:
            for step in self.read():
                if (step.learning_rate, step.rank) == (rate, rank) and step.number >= number:
                    return step
            return None

        return wait_until(look, process)

    @contextmanager
    def held(self, number: int, *rates: float) -> Iterator[None]:
        """In the block, trials with these rates go no further than this step."""
        yield from self._told("hold", "".join(f"{rate} {number}\n" for rate in rates))

    @contextmanager
    def paced(self, seconds: float) -> Iterator[None]:
        """In the block each step takes so long at the least, as those of large models do."""
        yield from self._told("pace", f"{seconds}\n")

    def _told(self, name: str, text: str) -> Iterator[None]:
        file, new = (self.file.with_name(f"{self.file.name}.{end}") for end in (name, "new"))
        new.write_text(text)
        new.replace(file)
        try:
            yield
        finally:
            file.unlink()


Found = TypeVar("Found")


def wait_until(
    look: Callable[[], Found | None], process: Popen[str], *, seconds: float = 0.02
) -> Found:
    """What ``look``, called each so many seconds, gives as soon as it is not None.

    The process must live until then.
    """
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if (found := look()) is not None:
            return found
        assert process.poll() is None, process.communicate()
        time.sleep(seconds)
    raise TimeoutError


@pytest.fixture(scope="package")
def trace_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where every process that a test of this package starts notes its steps."""
    file = tmp_path_factory.mktemp("trace") / "steps"
    folder = Path(__file__).parent / "trace"
    path = os.pathsep.join([str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        patch.setenv("STEP_TRACE", str(file))
        yield file


@pytest.fixture
def steps(trace_file: Path) -> StepTrace:
    trace = StepTrace(trace_file)
    trace.forget()
    return trace


@pytest.fixture(scope="package")
def cluster(trace_file: Path) -> Iterator[Cluster]:
    """One Ray with two CPUs, whose workers note their steps."""
    with ray_head(num_cpus=2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def one_cpu_cluster(trace_file: Path) -> Iterator[Cluster]:
    """A Ray with one CPU, to which `node` adds others."""
    with ray_head(num_cpus=1) as cluster:
        yield cluster


def trial_actors(cluster: Cluster) -> list[int]:
    """The process ids of the actors in which Tune's trials are."""
    actors = state_of(cluster, "actors", "state=ALIVE")
    return [one["pid"] for one in actors if one["class_name"].endswith("ResourceTrainable")]


def epochs_in(home: Home, trial: str) -> int:
    """How many epochs of a trial stand in its folder."""
    return len(Spool(trial_folder(home, trial)).read()[0])


def kill(pid: int) -> None:
    """Stop the process where it is, and let nothing of it run any more."""
    os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)


def seconds_to_recover(home: Home, steps: StepTrace, struck: Step, process: Popen[str]) -> float:
    """From now on until another process has trained an epoch of the trial that was struck."""
    started = time.monotonic()

    def goes_on() -> bool | None:
        found = [s for s in steps.read() if s.pid != struck.pid and s.is_like(struck)]
        return True if found else None

    wait_until(goes_on, process)
    trial = f"t{RATES.index(struck.learning_rate):04d}"
    known = epochs_in(home, trial)
    wait_until(lambda: epochs_in(home, trial) > known or None, process)
    return time.monotonic() - started


def ended(process: Popen[str]) -> str:
    """Wait for a driver to end as it should; its stdout."""
    out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0, out + err
    return out


def check(
    outcome: Outcome,
    home: Home,
    cluster: Cluster,
    steps: StepTrace,
    *,
    most_repeated: int = STEPS_PER_EPOCH,
    num_workers: int = 1,
) -> None:
    """What holds after a fault: the end is as if undisturbed, few steps were repeated, none lost.

    Args:
        outcome: Is filled in.
        home: With the sweep that has ended.
        cluster: That has everything back.
        steps: That were taken.
        most_repeated: Of them by one worker; the default is the epoch under way.
        num_workers: Of each trial.
    """
    outcome.steps_repeated = steps.repeated()
    assert outcome.steps_repeated <= most_repeated
    outcome.points_lost = assert_undisturbed(home, num_workers=num_workers)
    assert_nothing_left_in(home)
    assert_given_back(cluster)
