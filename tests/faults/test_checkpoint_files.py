"""Checkpoint files that are not what was saved, and disks that take no more.

Training goes on from the newest whole checkpoint and ends with the bits of an undisturbed one:
weights, optimizer, averages and metrics.
"""

import errno
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

from resnet_core import fit, manifest
from resnet_core.checkpoint import load_checkpoint
from resnet_core.manifest import CorruptCheckpoint, newest_checkpoint, verify_checkpoint
from tests.faults.damage import DAMAGES, flip_a_bit, turn_a_weight_around
from tests.faults.table import Outcome, Table
from tests.faults.undisturbed import NUM_EPOCHS, RECIPE, STEPS_PER_EPOCH, Undisturbed, go_on
from tests.faults.writers import (
    Writers,
    drained,
    look_without_rights,
    save,
    save_for_ever,
    save_with_small_files,
    save_without_rights,
    states_of,
)

pytestmark = pytest.mark.faults
in_ci = pytest.mark.faults_in_ci

CPU = torch.device("cpu")
NUM_KILLS = 13  # of each kind of writer


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def writers() -> Iterator[Writers]:
    writers = Writers()
    yield writers
    writers.close()


@pytest.fixture(scope="module")
def undisturbed(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder, results = tmp_path_factory.mktemp("undisturbed"), []
    for result in fit(RECIPE):
        result.save_checkpoint(folder / f"ep{result.epoch:04d}")
        results.append(result.metrics())
    return Undisturbed(folder, results)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@in_ci
@pytest.mark.parametrize("fault", DAMAGES)
def test_a_damaged_newest_checkpoint_costs_its_epoch_and_nothing_else(
    tmp_path, faults: Table, moments: random.Random, undisturbed, fault
):
    for attempt in range(2):
        with faults.trial(fault) as outcome:
            folder, said = undisturbed.copy(tmp_path / str(attempt)), []
            DAMAGES[fault](folder / f"ep{NUM_EPOCHS - 1:04d}", moments)
            go_on(folder, undisturbed, outcome, said.append)
            assert outcome.steps_repeated == STEPS_PER_EPOCH
            is_set_aside = fault != "checkpoint half-written"
            assert len(said) == is_set_aside
            whole = [f"ep{epoch:04d}" for epoch in range(1, NUM_EPOCHS + 1)]
            assert names(folder) == [*(["bad-ep0003"] if is_set_aside else []), *whole]
        shutil.rmtree(tmp_path / str(attempt))


@in_ci
def test_with_every_checkpoint_damaged_the_training_begins_again(
    tmp_path, faults: Table, moments: random.Random, undisturbed
):
    with faults.trial("every checkpoint damaged") as outcome:
        folder, said = undisturbed.copy(tmp_path), []
        for checkpoint in sorted(folder.iterdir()):
            flip_a_bit(checkpoint, moments)
        go_on(folder, undisturbed, outcome, said.append)
        assert [text.split()[1] for text in said] == ["ep0003", "ep0002", "ep0001"]


@in_ci
def test_without_the_digests_a_flipped_bit_is_not_noticed_and_the_end_is_another(
    tmp_path, monkeypatch, moments: random.Random, undisturbed
):
    folder = undisturbed.copy(tmp_path)
    newest = folder / f"ep{NUM_EPOCHS - 1:04d}"
    stated = {newest / name: sha256 for name, sha256 in verify_checkpoint(newest).sha256.items()}
    turn_a_weight_around(newest, moments)
    check = manifest.file_sha256
    monkeypatch.setattr(manifest, "file_sha256", lambda file: stated.get(file) or check(file))
    with pytest.raises(AssertionError, match="Tensor-likes are not equal"):
        go_on(folder, undisturbed, Outcome(), pytest.fail)


# ---- killed writers ------------------------------------------------------------------------------


@in_ci
@pytest.mark.parametrize("one_name", [False, True], ids=["a-folder-each", "one-folder-replaced"])
def test_a_writer_killed_at_any_moment_leaves_what_it_had_saved(
    tmp_path, faults: Table, moments: random.Random, writers, one_name
):
    started = time.monotonic()
    save(tmp_path / "timed" / "ep0001", 1)
    save_seconds = time.monotonic() - started
    hit = 0
    for kill in range(NUM_KILLS):
        folder = tmp_path / str(kill)
        with faults.trial("kill -9 while a checkpoint is saved") as outcome:
            with writers.running(save_for_ever, folder, one_name) as (process, told):
                saved, until = 0, moments.randint(0, 4)
                while saved < until:
                    saved = told.recv()
                time.sleep(moments.uniform(0, 2 * save_seconds))
                process.kill()
                process.join()
                saved = drained(told, saved)
            hit += folder.exists() and any(name.startswith(".") for name in names(folder))
            newest = newest_checkpoint(folder, pytest.fail)
            if newest is None:
                assert saved == 0
                continue
            states, about = load_checkpoint(newest, CPU)
            assert about.epoch in (saved, saved + 1)  # it may have died before it could tell
            torch.testing.assert_close(states, states_of(about.epoch), rtol=0, atol=0)
            assert not [name for name in names(folder) if not name.startswith("ep")]
            outcome.steps_repeated = 0
    print(f"{hit} of {NUM_KILLS} were killed in the middle of a save")


# ---- disks that take no more ---------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a disk of so many bytes, or makes the one that was mounted so large."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(size: int) -> Path:
        remount = ["-o", "remount"] if place.is_mount() else []
        command = ["mount", "-t", "tmpfs", *remount, "-o", f"size={size}", "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"this machine lets no test mount a disk: {done.stderr.strip()}")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", str(place)], check=True)


def bytes_of(checkpoint: Path) -> int:
    return sum(file.stat().st_size for file in checkpoint.iterdir())


@in_ci
def test_a_full_disk_costs_the_epoch_that_did_not_fit(
    small_disk, faults: Table, moments: random.Random, undisturbed
):
    one = bytes_of(undisturbed.folder / "ep0001")
    for _ in range(3):
        with faults.trial("disk full while a checkpoint is saved") as outcome:
            folder = small_disk(round(one * moments.uniform(0.2, 3.8))) / "checkpoints"
            results, saved = fit(RECIPE), 0
            with pytest.raises(OSError, match="No space left") as caught:  # noqa: PT012
                for result in results:
                    result.save_checkpoint(folder / f"ep{result.epoch:04d}")
                    saved = result.epoch
            results.close()
            assert caught.value.errno == errno.ENOSPC
            assert names(folder) == [f"ep{epoch:04d}" for epoch in range(1, saved + 1)]
            small_disk(20 * one)
            go_on(folder, undisturbed, outcome, pytest.fail)
            outcome.steps_repeated = STEPS_PER_EPOCH  # of the epoch that could not be saved
            shutil.rmtree(folder)


@in_ci
def test_a_file_that_may_not_grow_leaves_the_older_checkpoint_whole(
    tmp_path, faults: Table, moments: random.Random, writers
):
    save(tmp_path / "last", 1)
    largest = max(file.stat().st_size for file in (tmp_path / "last").iterdir())
    for _ in range(4):
        with faults.trial("quota reached while a checkpoint is saved"):
            limit = moments.randrange(largest)
            assert writers.ask(save_with_small_files, tmp_path / "last", limit) == errno.EFBIG
            states, about = load_checkpoint(tmp_path / "last", CPU)
            assert about.epoch == 1
            torch.testing.assert_close(states, states_of(1), rtol=0, atol=0)
            assert names(tmp_path) == ["last"]


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """With one checkpoint in it; unlike pytest's own folders, everybody may look into it."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        save(folder / "ep0001", 1)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)


@in_ci
def test_a_read_only_folder_is_said_and_keeps_its_checkpoint(
    faults: Table, writers, read_only_folder
):
    with faults.trial("read-only directory"):
        name = read_only_folder / "ep0002"
        assert writers.ask(save_without_rights, name) == errno.EACCES
        assert names(read_only_folder) == ["ep0001"]
        assert newest_checkpoint(read_only_folder) == read_only_folder / "ep0001"


@in_ci
def test_a_damaged_checkpoint_that_cannot_be_set_aside_is_not_gone_on_from(
    faults: Table, moments: random.Random, writers, read_only_folder
):
    with faults.trial("read-only directory"):
        flip_a_bit(read_only_folder / "ep0001", moments)
        assert writers.ask(look_without_rights, read_only_folder) == errno.EACCES
        with pytest.raises(CorruptCheckpoint, match="ep0001"):
            verify_checkpoint(read_only_folder / "ep0001")
