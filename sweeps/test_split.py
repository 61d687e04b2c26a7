"""The one use of the test split: by what won and by the recipe, once nothing is chosen any more."""

from typing import Any

import ray

from sweeps.answer.confirmation import choose
from sweeps.answer.correct_images import pack_images
from sweeps.answer.verdict_of import read_confirmation
from sweeps.mirror import at, place_of
from sweeps.record import TrialRecord
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder


def test_what_won(sweep: Sweep, folder: SweepFolder) -> dict[str, dict[str, Any]]:
    """Measure winner and recipe on the test split, in one Ray task, unless that was done before.

    It is every training of the confirmed winner and of the recipe with a fresh seed. Without a
    confirmation nothing is measured there, so that the split is left for one.

    Returns:
        Training (``t0007-s1``) -> accuracy, loss, num_images and, packed, which images
        were classified correctly; only what was not in the state before.
    """
    known = folder.read_state().test
    records = [record for record in _what_won(sweep, folder) if record.id not in known]
    if not records:
        return {}
    checkpoints = [
        folder.trial_folder(record) / "checkpoints" / f"ep{folder.history(record)[-1]['epoch']:04d}"
        for record in records
    ]
    resources = sweep.spec.resources
    task = ray.remote(num_cpus=resources.cpus_per_worker, num_gpus=resources.gpus_per_worker)(
        measure
    )
    places = [place_of(checkpoint) for checkpoint in checkpoints]
    found = ray.get(task.remote(places, resources.torch_threads))
    return {record.id: values for record, values in zip(records, found, strict=True)}


def _what_won(sweep: Sweep, folder: SweepFolder) -> list[TrialRecord]:
    confirmation = read_confirmation(folder, sweep, {})
    if confirmation is None:
        return []
    chosen = {choose(confirmation).trial_id, confirmation.recipe.trial_id}
    return [
        record
        for record in folder.read_confirmations()
        if record.status == "completed" and f"t{record.index:04d}" in chosen
    ]


def measure(places: list[str], threads: int | None) -> list[dict[str, Any]]:
    """Loss and accuracy of checkpoints on the test split, and which images each got right."""
    import torch  # of the task's process; the driver needs none

    from resnet_core.evaluate import evaluate_checkpoint_by_image

    if threads is not None:
        torch.set_num_threads(threads)
    found = []
    for place in places:
        with at(place) as checkpoint:
            values, correct = evaluate_checkpoint_by_image(checkpoint, "test")
        found.append({**values, "correct": pack_images(correct)})
    return found
