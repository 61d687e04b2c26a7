import errno
import fcntl
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps import driver_lock
from sweeps.driver_lock import NoLocks
from sweeps.home import home, storage_root
from sweeps.record import SweepState, TrialRecord
from sweeps.spool import Spool
from sweeps.storage import SweepBusy, SweepFolder, SweepNotFound, TrialNotFound

RECORD = TrialRecord(7, "t0007 lr=0.8", "1f9c2a4b" + "0" * 56, {"a.b": 0.8})


def test_a_record_comes_back_as_written_from_the_folder_its_name_and_digest_give(tmp_path):
    folder = SweepFolder(tmp_path / "s")
    folder.create_training(RECORD, None, "model: {}\n")
    folder.write_record(RECORD)
    changed = replace(RECORD, status="failed", reason="nan", worker_seconds=1.5)
    folder.write_record(changed)
    assert folder.read_records() == [changed]
    assert (tmp_path / "s/trials/t0007-1f9c2a4b/recipe.yaml").read_text() == "model: {}\n"


def test_records_are_ordered_by_index(tmp_path):
    folder = SweepFolder(tmp_path / "s")
    for index in (10, 2, 0):
        folder.create_training(replace(RECORD, index=index), None, "")
        folder.write_record(replace(RECORD, index=index))
    assert [record.index for record in folder.read_records()] == [0, 2, 10]


def test_a_name_that_is_not_there_is_answered_with_the_nearest_one(tmp_path):
    folder = SweepFolder(tmp_path / "digits")
    folder.path.mkdir()
    folder.write_state(SweepState(id="1"))
    with pytest.raises(SweepNotFound, match="did you mean 'digits'"):
        SweepFolder.find(tmp_path, "digit")


def test_a_second_driver_is_refused_while_the_first_one_lives_and_only_so_long(tmp_path):
    folder = SweepFolder(tmp_path / "s")
    code = (
        "import sys; from pathlib import Path; from sweeps.storage import SweepFolder\n"
        "with SweepFolder(Path(sys.argv[1])).locked(): print('held', flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    assert folder.is_running
    with pytest.raises(SweepBusy, match="another driver is running 's'"), folder.locked():
        pass
    process.kill()
    process.communicate()
    assert not folder.is_running  # though its file is still there
    with folder.locked():
        assert folder.is_running
    assert not folder.path.exists()  # nothing was begun, and the lock leaves nothing behind


def test_results_of_a_submitted_job_do_not_go_into_the_copy_that_ray_deletes(tmp_path, monkeypatch):
    copy = tmp_path / "session/runtime_resources/working_dir_files/_ray_pkg_0123"
    copy.mkdir(parents=True)
    monkeypatch.delenv("SWEEPS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(copy)
    assert home() == tmp_path / "resnet-sweeps"
    assert storage_root("mine") == tmp_path / "resnet-sweeps/mine"
    assert storage_root("/shared/results") == Path("/shared/results")
    monkeypatch.chdir(tmp_path)
    assert home() == tmp_path
    assert storage_root("mine") == tmp_path / "mine"
    monkeypatch.setenv("SWEEPS_HOME", str(tmp_path / "elsewhere"))
    assert home() == tmp_path / "elsewhere"


def test_a_rung_s_schedule_lies_within_its_trial_and_a_confirmation_beside_the_trials(tmp_path):
    folder = SweepFolder(tmp_path / "s")
    trial = tmp_path / "s/trials/t0007-1f9c2a4b"
    assert folder.training_folder(RECORD, None) == folder.trial_folder(RECORD) == trial
    assert folder.training_folder(RECORD, 3) == trial / "rungs/ep0003"
    copy = replace(RECORD, copy=2)
    assert folder.trial_folder(copy) == tmp_path / "s/confirm/t0007-s2-1f9c2a4b"


def test_confirmations_are_no_trials_and_are_ordered_by_trial_and_seed(tmp_path):
    folder = SweepFolder(tmp_path / "s")
    folder.create_training(RECORD, None, "")
    folder.write_record(RECORD)
    for index, copy in ((7, 2), (0, 2), (7, 1), (7, 10), (0, 1)):
        folder.create_training(replace(RECORD, index=index, copy=copy), None, "")
        folder.write_record(replace(RECORD, index=index, copy=copy))
    assert folder.read_records() == [RECORD]
    assert [record.id for record in folder.read_confirmations()] == [
        "t0000-s1", "t0000-s2", "t0007-s1", "t0007-s2", "t0007-s10",
    ]  # fmt: skip


def test_each_schedule_has_a_recipe_and_a_history_of_its_own(tmp_path):
    folder = SweepFolder(tmp_path / "s")
    folder.create_training(RECORD, None, "whole: 1\n")
    folder.write_record(RECORD)
    rung = folder.create_training(RECORD, 3, "rung: 1\n")
    Spool(rung).append({"epoch": 1, "val_accuracy": 0.5})
    assert (folder.trial_folder(RECORD) / "recipe.yaml").read_text() == "whole: 1\n"
    assert (rung / "recipe.yaml").read_text() == "rung: 1\n"
    assert folder.history(RECORD) == []
    assert [point["epoch"] for point in folder.history(RECORD, 3)] == [1]


def test_what_a_killed_driver_left_half_written_is_not_read(tmp_path):
    folder = SweepFolder(tmp_path / "s")
    folder.create_training(RECORD, None, "")
    folder.write_record(RECORD)
    (folder.trial_folder(RECORD) / ".trial.json.123").write_text('{"index"')
    assert folder.read_records() == [RECORD]


def test_the_state_comes_back_as_written(tmp_path):
    folder = begun(tmp_path)
    state = SweepState(
        "a", "stopped", "t0003 failed (data): E", "budget: spent", 1.5, 2.5, 3,
        {"top_k": 1, "seeds": 2}, {"t0001": {"accuracy": 0.5}},
    )  # fmt: skip
    assert folder.write_state(state) == folder.read_state() == state


def test_without_any_sweep_a_name_that_is_not_there_is_answered_with_none(tmp_path):
    with pytest.raises(SweepNotFound, match=r"no sweep 'a' in .*; there: none"):
        SweepFolder.find(tmp_path, "a")


def test_a_sweep_that_was_begun_is_found(tmp_path):
    folder = begun(tmp_path)
    assert SweepFolder.find(tmp_path, "s").path == folder.path


def begun(root) -> SweepFolder:
    folder = SweepFolder(root / "s")
    folder.path.mkdir(exist_ok=True)
    folder.write_state(SweepState(id="1"))
    return folder


@pytest.fixture
def look(tmp_path):
    """Somebody else who looks at this very moment, until closed."""
    file = begun(tmp_path).path / driver_lock.NAME
    file.touch()  # as a driver that was killed has left it
    handle = os.open(file, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    yield handle
    with suppress(OSError):
        os.close(handle)


def test_who_looks_is_no_driver_to_another_who_looks(tmp_path, look):
    assert not SweepFolder(tmp_path / "s").is_running


def test_a_driver_that_comes_while_somebody_looks_waits_a_moment(tmp_path, look, monkeypatch):
    monkeypatch.setattr("sweeps.driver_lock.time.sleep", lambda _: os.close(look))
    folder = SweepFolder(tmp_path / "s")
    with folder.locked():
        assert folder.is_running


def test_whoever_waited_for_a_lock_that_its_holder_has_removed_does_not_hold_it(tmp_path):
    file = tmp_path / driver_lock.NAME
    with driver_lock.holding(file) as is_ours:
        assert is_ours
        late = os.open(file, os.O_RDWR)  # of a driver that comes now and locks it afterwards
    fcntl.flock(late, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with driver_lock.holding(file) as is_ours:
        assert is_ours
        assert driver_lock.is_held(file)
    os.close(late)
    assert list(tmp_path.iterdir()) == []


def test_the_lock_is_open_for_writing_as_a_network_file_system_demands(tmp_path):
    file = tmp_path / driver_lock.NAME
    with driver_lock.holding(file):
        handles = Path("/proc/self/fd").iterdir()
        (handle,) = [one for one in handles if one.exists() and one.resolve() == file]
        assert os.access(file, os.W_OK)
        flags = int(Path("/proc/self/fdinfo", handle.name).read_text().split()[3], 8)
        assert flags & os.O_ACCMODE == os.O_RDWR


def test_without_locks_nobody_runs_a_sweep_and_nothing_is_left_behind(tmp_path, monkeypatch):
    def flock(handle: int, kind: int) -> None:  # as Lustre answers unless it is mounted for locks
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr("sweeps.driver_lock.fcntl.flock", flock)
    folder = SweepFolder(tmp_path / "s")
    told = r"cannot be locked there \(Operation not supported\)"
    with pytest.raises(NoLocks, match=told), folder.locked():
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_driver_has_half_written_is_removed_by_the_next_one(tmp_path):
    folder = begun(tmp_path)
    folder.create_training(RECORD, 3, "")
    folder.write_record(RECORD)
    places = [folder.path, folder.trial_folder(RECORD), folder.training_folder(RECORD, 3)]
    for place in places:
        (place / ".state.json.123").write_text("{")
        (place / ".mine").write_text("kept")
    with folder.locked():
        left = [path.name for place in places for path in place.glob(".*")]
        assert left == [".mine"] * 3
    assert folder.read_records() == [RECORD]


def test_a_training_with_a_fresh_seed_is_found_only_where_it_is_asked_for(tmp_path):
    folder = begun(tmp_path)
    copy = replace(RECORD, copy=2)
    folder.create_training(copy, None, "")
    folder.write_record(copy)
    assert folder.find_trial("t0007-s2", confirmations=True) == copy
    with pytest.raises(TrialNotFound, match="s has no trial 't0007-s2'"):
        folder.find_trial("t0007-s2")
