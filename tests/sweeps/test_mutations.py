import json
import os
from pathlib import Path

import pytest

from resnet_core import Recipe
from sweeps.population import mutations
from sweeps.population.mutations import (
    Mutation,
    checkpoint_of,
    current_values,
    finish,
    inherited_epoch,
    read_mutations,
    take_over,
)

LR = "optimizer.sgd.learning_rate"
MUTATION = Mutation(
    epoch=2, donor=3, model_sha256="of 3 after 2", before={LR: 0.1}, after={LR: 0.25},
    value=0.4, donor_value=0.7,
)  # fmt: skip


def add_checkpoint(folder: Path, owner: int, epoch: int) -> None:
    checkpoint = checkpoint_of(folder, epoch)
    checkpoint.mkdir(parents=True)
    (checkpoint / "model.pt").write_text(f"{owner} after {epoch}")
    manifest = {"epoch": epoch, "sha256": {"model.pt": f"of {owner} after {epoch}"}}
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def trial(tmp_path):
    recipe = Recipe.model_validate(
        {
            "model": {"name": "resnet18", "num_classes": 4},
            "optimizer": {"sgd": {"learning_rate": 0.1, "momentum": 0.9}},
            "train_batch_size": 16,
            "max_duration": "3ep",
        }
    )
    for index in (1, 3):
        folder = tmp_path / f"t{index}"
        folder.mkdir()
        (folder / "recipe.yaml").write_text(recipe.to_yaml())
        for epoch in (1, 2):
            add_checkpoint(folder, index, epoch)
    return tmp_path / "t1"


@pytest.fixture
def donor(trial):
    return trial.with_name("t3")


def state(trial: Path) -> tuple[dict[str, str], float, int]:
    """Owners of the checkpoints, learning rate, how often it took over."""
    files = sorted((trial / "checkpoints").glob("*/model.pt"))
    owners = {file.parent.name: file.read_text() for file in files}
    return owners, current_values(trial, [LR])[LR], len(read_mutations(trial))


BEFORE = ({"ep0001": "1 after 1", "ep0002": "1 after 2"}, 0.1, 0)
AFTER = ({"ep0001": "1 after 1", "ep0002": "3 after 2"}, 0.25, 1)


def test_a_trial_has_the_donors_checkpoint_and_the_new_values(trial, donor):
    take_over(trial, donor, MUTATION)
    assert state(trial) == AFTER
    assert (inherited_epoch(trial), read_mutations(trial)) == (2, [MUTATION])
    assert not (trial / "inherited").exists()


def test_the_donors_checkpoint_costs_no_disk_and_outlives_the_donors_own(trial, donor):
    take_over(trial, donor, MUTATION)
    model = checkpoint_of(trial, 2) / "model.pt"
    assert model.samefile(checkpoint_of(donor, 2) / "model.pt")
    (checkpoint_of(donor, 2) / "model.pt").unlink()
    assert model.read_text() == "3 after 2"


def test_files_are_copied_where_they_cannot_be_linked(trial, donor, monkeypatch):
    def refuse(source: str, target: str) -> None:
        raise OSError("made up: another file system")

    monkeypatch.setattr(os, "link", refuse)
    take_over(trial, donor, MUTATION)
    assert state(trial) == AFTER


def test_own_later_checkpoints_are_removed(trial, donor):
    add_checkpoint(trial, 1, 3)
    take_over(trial, donor, MUTATION)
    assert state(trial) == AFTER


class Killed(BaseException):
    pass


@pytest.mark.parametrize("killed_at", range(20))
def test_a_driver_killed_at_any_file_leaves_all_of_it_or_nothing(
    trial, donor, monkeypatch, killed_at
):
    calls = 0

    def dying(function):
        def call(*arguments, **options):
            nonlocal calls
            calls += 1
            if calls > killed_at:
                raise Killed
            return function(*arguments, **options)

        return call

    with monkeypatch.context() as patched:
        for name in ("replace", "mkdir", "write_text"):
            patched.setattr(Path, name, dying(getattr(Path, name)))
        patched.setattr(mutations.shutil, "rmtree", dying(mutations.shutil.rmtree))
        try:
            take_over(trial, donor, MUTATION)
        except Killed:
            decided = (trial / mutations.FILE_NAME).exists()
        else:
            decided = True
            assert killed_at >= calls
    finish(trial)
    assert state(trial) == (AFTER if decided else BEFORE)


def test_a_trial_that_took_over_nobody_is_left_alone(trial):
    finish(trial)
    assert state(trial) == BEFORE
    assert inherited_epoch(trial) == 0


def test_a_recipe_written_anew_from_the_first_values_gets_the_last_ones_again(trial, donor):
    written = (trial / "recipe.yaml").read_text()
    take_over(trial, donor, MUTATION)
    (trial / "recipe.yaml").write_text(written)
    finish(trial)
    assert state(trial) == AFTER


def test_a_donor_without_that_checkpoint_is_an_error_and_nothing_has_happened(trial, donor):
    late = Mutation(**{**MUTATION.__dict__, "epoch": 3})
    with pytest.raises(OSError, match="ep0003"):
        take_over(trial, donor, late)
    finish(trial)
    assert state(trial) == BEFORE
