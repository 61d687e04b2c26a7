import subprocess
import sys
from dataclasses import replace

import pytest

from sweeps.storage import SweepBusy, SweepFolder, SweepNotFound, SweepState, TrialRecord, home

RECORD = TrialRecord(7, "t0007 lr=0.8", "1f9c2a4b" + "0" * 56, {"a.b": 0.8})


def test_a_record_comes_back_as_written_from_the_folder_its_name_and_digest_give(tmp_path):
    folder = SweepFolder(tmp_path / "s")
    folder.create_trial(RECORD, "model: {}\n")
    changed = replace(RECORD, status="failed", reason="nan", worker_seconds=1.5)
    folder.write_record(changed)
    assert folder.read_records() == [changed]
    assert (tmp_path / "s/trials/t0007-1f9c2a4b/recipe.yaml").read_text() == "model: {}\n"


def test_records_are_ordered_by_index(tmp_path):
    folder = SweepFolder(tmp_path / "s")
    for index in (10, 2, 0):
        folder.create_trial(replace(RECORD, index=index), "")
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
    assert not folder.is_running
    assert list(folder.path.iterdir()) == []  # the lock leaves nothing behind


def test_results_of_a_submitted_job_do_not_go_into_the_copy_that_ray_deletes(tmp_path, monkeypatch):
    copy = tmp_path / "session/runtime_resources/working_dir_files/_ray_pkg_0123"
    copy.mkdir(parents=True)
    monkeypatch.delenv("SWEEPS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(copy)
    assert home() == tmp_path / "resnet-sweeps"
    monkeypatch.chdir(tmp_path)
    assert home() == tmp_path
    monkeypatch.setenv("SWEEPS_HOME", str(tmp_path / "elsewhere"))
    assert home() == tmp_path / "elsewhere"
