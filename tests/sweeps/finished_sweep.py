"""A sweep that has ended, on disk, with everything a sweep can have: for the commands that look."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sweeps.answer.correct_images import pack_images
from sweeps.spec import Sweep
from sweeps.spool import Spool
from sweeps.storage import SweepFolder
from tests.sweeps.simulation import STRETCH, Driver, begin, write_sweep

TEXT = (
    "search: {algorithm: random, trials: 12, seed: 5}\n"
    "objective: {against: [training_seconds]}\n"
    f"confirm: {{top_k: 2, seeds: 3}}\n{STRETCH}"
)


def finished_sweep(root: Path, name: str = "s", text: str = TEXT) -> tuple[Sweep, SweepFolder]:
    """Sweep with rungs and a confirmation, tested on 10 images; below ``root/results``."""
    sweep = write_sweep(root, text)
    folder = begin(root / "results" / name)
    folder.sweep_file.write_text(sweep.resolved_yaml())
    (folder.path / "sweep.yaml").write_text(sweep.text)
    (folder.path / "environment.json").write_text('{"cpus": 2, "gpus": null}')
    Driver(sweep, folder).run()
    test = {record.id: _tested(9 if record.index else 8) for record in folder.read_confirmations()}
    state = folder.read_state()
    folder.write_state(
        replace(state, status="finished", reason="all trials", test=test, wall_seconds=60.0)
    )
    return sweep, folder


def give_steps(folder: SweepFolder) -> None:
    """Write every trial's epochs anew, with the steps that a real worker's have."""
    for record in folder.read_records():
        spool = Spool(folder.trial_folder(record))
        points = spool.read()[0]
        spool.path.unlink()
        for point in points:
            spool.append({**point, "step": 11 * point["epoch"]})


def _tested(num_correct: int) -> dict[str, Any]:
    correct = pack_images(np.arange(10) < num_correct)
    return {"accuracy": num_correct / 10, "loss": 0.5, "num_images": 10, "correct": correct}
