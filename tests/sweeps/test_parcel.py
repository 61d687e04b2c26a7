"""What a submitted job brings along: what it needs, and nothing that is large or a secret."""

import shutil
import subprocess
from pathlib import Path

import pytest

from sweeps.submit.parcel import LARGEST_BYTES, GitFailed, Outside, TooLarge, pack

SOURCES = ["mine.py", "configs/sweep.yaml", "configs/recipe.yaml"]
LEFT_OUT = [
    ".git/x", ".env", ".venv/lib/x.py", "results/quick/state.json", "mlflow.db",
    "mlflow.db-wal", "mlartifacts/1/model.pt", "package/__pycache__/x.pyc", "photos/train/a/1.jpg",
]  # fmt: skip


def write(root: Path, names: list[str]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def own(parcel) -> list[str]:
    """What is not of this library, which always goes along."""
    return [str(path) for path in parcel.files if path.parts[0] not in ("resnet_core", "sweeps")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, SOURCES + LEFT_OUT)
    return tmp_path


@pytest.mark.parametrize("has_git", [False, True], ids=["folder", "git"])
def test_sources_go_along_and_results_environments_data_and_hidden_files_do_not(root, has_git):
    shutil.rmtree(root / ".git")
    if has_git:
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    parcel = pack(root, [root / "configs/sweep.yaml"], [root / "photos"])
    assert own(parcel) == sorted(SOURCES)


def test_what_git_ignores_stays_unless_the_job_reads_it(root):
    shutil.rmtree(root / ".git")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    (root / ".gitignore").write_text("photos\nnotes.txt\nconfigs/recipe.yaml\n")
    write(root, ["notes.txt"])
    parcel = pack(root, [root / "configs/recipe.yaml"], [])
    assert own(parcel) == sorted(SOURCES)


def test_where_git_does_not_say_what_it_ignores_nothing_is_packed(root):
    with pytest.raises(GitFailed, match=r"git does not say which files of .* not a git repository"):
        pack(root, [], [])  # `.git` is there, and is none


def test_a_data_folder_that_holds_everything_leaves_the_folders_own_files(root):
    shutil.rmtree(root / ".git")
    assert own(pack(root, [], [root, root.parent, root / "photos"])) == sorted(SOURCES)


def test_this_library_goes_along_wherever_it_was_installed(root):
    shutil.rmtree(root / ".git")
    parcel = pack(root, [], [])
    assert {Path("sweeps/__main__.py"), Path("resnet_core/train.py")} <= parcel.files.keys()
    assert not [path for path in parcel.files if "__pycache__" in path.parts]


def test_a_link_that_leads_elsewhere_does_not_bring_what_is_there(root, tmp_path_factory):
    shutil.rmtree(root / ".git")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "private.txt"
    elsewhere.write_text("x")
    (root / "link.txt").symlink_to(elsewhere)
    assert own(pack(root, [], [root / "photos"])) == sorted(SOURCES)


def test_a_file_that_the_job_needs_and_that_lies_elsewhere_is_refused(root, tmp_path_factory):
    shutil.rmtree(root / ".git")
    sweep = tmp_path_factory.mktemp("elsewhere") / "sweep.yaml"
    sweep.write_text("x")
    with pytest.raises(Outside, match=r"sweep\.yaml does not lie in .*submit from a folder"):
        pack(root, [sweep], [])


def test_more_than_a_hundred_megabytes_are_refused_and_the_largest_files_named(root):
    shutil.rmtree(root / ".git")
    with (root / "weights.bin").open("wb") as file:
        file.truncate(LARGEST_BYTES)
    with pytest.raises(TooLarge, match=r"may bring 100\.0 MB .* largest: weights\.bin 100\.0 MB,"):
        pack(root, [], [])


def test_what_is_laid_out_is_what_was_chosen(root, tmp_path_factory):
    shutil.rmtree(root / ".git")
    target = tmp_path_factory.mktemp("job")
    parcel = pack(root, [], [])
    parcel.lay_out(target)
    found = {path.relative_to(target) for path in target.rglob("*") if path.is_file()}
    assert found == parcel.files.keys()
    assert (target / "mine.py").read_text() == "mine.py"
    assert parcel.num_bytes == sum((target / path).stat().st_size for path in found)
