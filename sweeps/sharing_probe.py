"""Training one recipe several times at once on one device, to see how many images that makes.

`measure` starts ``python -m sweeps.sharing_probe`` so many times; each process trains until its
kernels are chosen and compiled, waits until all have come so far, and counts images for a while.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from sweeps.failures import last_line
from sweeps.gpu_sharing import Rates

WARM_UP_STEPS = 5
SECONDS = 8.0
_LONGEST_SECONDS = 900.0  # compiling several times at once
_OUT_OF_MEMORY = 17


class CannotMeasure(RuntimeError):
    """The recipe cannot be trained here; says why."""


def measure(
    recipe_yaml: str, counts: Iterable[int], device: str, seconds: float = SECONDS
) -> Rates:
    """Train the recipe so many times at once, for every count until one does not fit.

    Args:
        recipe_yaml: Of trial 0.
        counts: Ascending.
        device: ``cuda``, the one that this process may use, or ``cpu``.
        seconds: That images are counted for.

    Raises:
        CannotMeasure: If a training fails otherwise than for lack of memory.
    """
    rates: Rates = {}
    with TemporaryDirectory(prefix="sweeps-sharing-") as folder:
        recipe = Path(folder) / "recipe.yaml"
        recipe.write_text(recipe_yaml)
        for count in counts:
            rates[count] = _together(recipe, count, device, seconds)
            if rates[count] is None:
                break
    return rates


def _together(recipe: Path, count: int, device: str, seconds: float) -> float | None:
    command = [sys.executable, "-m", "sweeps.sharing_probe", str(recipe), device, str(seconds)]
    with TemporaryFile("w+") as errors:
        processes = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )
            for _ in range(count)
        ]
        too_long = threading.Timer(_LONGEST_SECONDS, _kill, [processes])
        too_long.start()
        try:
            for process in processes:
                assert process.stdout is not None
                process.stdout.readline()  # ready, or ended
            for process in processes:
                _say(process, "go\n")
            told = [process.communicate()[0] for process in processes]
        finally:
            too_long.cancel()
            _kill(processes)
        errors.seek(0)
        said = errors.read()
    statuses = {process.returncode for process in processes}
    if _OUT_OF_MEMORY in statuses:
        return None
    if statuses != {0}:
        raise CannotMeasure(f"training the recipe {count} times at once: {last_line(said)}")
    return sum(float(rate) for rate in told)


def _kill(processes: "list[subprocess.Popen[str]]") -> None:
    for process in processes:
        process.kill()
        process.wait()


def _say(process: "subprocess.Popen[str]", text: str) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it has ended
        process.stdin.write(text)
        process.stdin.flush()


class _Enough(Exception):
    pass


class _Count:
    """Called after each step of a training."""

    def __init__(self, batch_size: int, seconds: float, wait: Callable[[], object]) -> None:
        self._batch_size, self._seconds, self._wait_for_device = batch_size, seconds, wait
        self._steps = 0
        self._began = 0.0
        self.rate = 0.0

    def __call__(self, _: object) -> None:
        self._steps += 1
        if self._steps == WARM_UP_STEPS:
            self._wait_for_the_others()
        elif self._steps > WARM_UP_STEPS and time.perf_counter() - self._began > self._seconds:
            self._end()

    def _wait_for_the_others(self) -> None:
        self._wait_for_device()
        print("ready", flush=True)
        sys.stdin.readline()
        self._began = time.perf_counter()

    def _end(self) -> None:
        self._wait_for_device()  # what was only queued is not done
        images = (self._steps - WARM_UP_STEPS) * self._batch_size
        self.rate = images / (time.perf_counter() - self._began)
        raise _Enough


def main() -> None:
    """Be one of the trainings: ``RECIPE DEVICE SECONDS``."""
    import torch

    from resnet_core import Recipe, fit

    file, device, seconds = sys.argv[1:]
    recipe = Recipe.from_yaml(file)
    if device == "cpu":
        torch.set_num_threads(1)
    wait = torch.cuda.synchronize if device == "cuda" else torch.cpu.synchronize
    count = _Count(recipe.train_batch_size, float(seconds), wait)
    try:
        while True:  # a short recipe is trained again
            for _ in fit(recipe, device=device, after_step=count):
                pass
    except _Enough:
        print(count.rate, flush=True)
    except torch.OutOfMemoryError:
        sys.exit(_OUT_OF_MEMORY)


if __name__ == "__main__":
    main()
