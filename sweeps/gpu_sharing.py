"""``resources.share_gpus``: how many trials at a time a GPU trains fastest is measured, once.

A small model leaves most of a GPU idle, and several of its trainings side by side fill it; a large
one gains nothing and runs out of memory. So before a sweep begins, the recipe is trained 1, 2, 4
and 8 times at once on one GPU for some seconds, each in a process of its own as trials are. The
sweep then is one whose ``gpus_per_worker`` says so, also in its ``resolved.yaml``; what was
measured stands beside it in ``gpu_sharing.json``.
"""

import json
from collections.abc import Callable
from dataclasses import replace

from sweeps.loading import load_sweep
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder, write_atomically

COUNTS = (1, 2, 4, 8)
FILE_NAME = "gpu_sharing.json"
_WORTH = 1.05
"""More trials at a time must train so many times as many images: each of them takes longer."""

Rates = dict[int, float | None]
"""Trainings at a time -> images per second of all together; None if they do not fit."""


def choose(rates: Rates) -> int:
    """How many trials are to share a GPU: as few as train nearly as fast as any number does.

    Raises:
        ValueError: If not even one fits.
    """
    fitting = {count: rate for count, rate in rates.items() if rate is not None}
    if 1 not in fitting:
        raise ValueError("not even one training of the recipe fits into the memory of a GPU")
    chosen = 1
    for count in sorted(fitting):
        if fitting[count] >= _WORTH * fitting[chosen]:
            chosen = count
    return chosen


def settle(
    sweep: Sweep, folder: SweepFolder, measure: Callable[[Sweep], Rates]
) -> tuple[Sweep, Rates]:
    """The sweep with a share of a GPU for each worker, where that is to be measured.

    Args:
        sweep: As its file says.
        folder: Its folder; what was measured for it before holds.
        measure: Asked if nothing was.

    Returns:
        The sweep, and what was measured now.

    Raises:
        ValueError: As `choose`.
    """
    if not sweep.spec.resources.share_gpus:
        return sweep, {}
    if folder.exists:
        share, rates = load_sweep(folder.sweep_file).spec.resources.gpus_per_worker, {}
    else:
        rates = measure(sweep)
        share = 1 / choose(rates)
    update = {"share_gpus": False, "gpus_per_worker": share}
    resources = sweep.spec.resources.model_copy(update=update)
    return replace(sweep, spec=sweep.spec.model_copy(update={"resources": resources})), rates


def note(folder: SweepFolder, rates: Rates) -> None:
    """Write down what was measured, if anything was."""
    if rates:
        text = json.dumps({"trials_per_gpu": choose(rates), "images_per_second": rates}, indent=1)
        write_atomically(folder.path / FILE_NAME, text)


def in_words(rates: Rates) -> str:
    """One line: every number that was tried, and what follows."""
    tried = ", ".join(
        f"{count}: {'out of memory' if rate is None else f'{rate:,.0f}'}"
        for count, rate in rates.items()
    )
    return f"images/s by trainings on one GPU: {tried}; {choose(rates)} trials share each GPU"
