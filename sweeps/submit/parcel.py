"""What a job brings along: the current folder's own files, and nothing that is large or lies there.

Left out are version control, environments, results, data sets and whatever git ignores. This
library goes along wherever it was installed, so a cluster runs what the user has.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LARGEST_BYTES = 100_000_000
_PACKAGES = ("resnet_core", "sweeps")
_LEFT_OUT = {"results", "mlartifacts", "mlruns", "node_modules", "__pycache__"}
_NUM_SHOWN = 5


class TooLarge(ValueError):
    """More than a job may bring along; says what is large."""


class Outside(ValueError):
    """A file that the job needs lies outside of the folder that goes along."""


class GitFailed(RuntimeError):
    """Git does not tell what it ignores."""


@dataclass(frozen=True)
class Parcel:
    """The files of a job: path in its working directory -> the file here."""

    files: dict[Path, Path]

    @property
    def num_bytes(self) -> int:
        """Before compression."""
        return sum(_size(file) for file in self.files.values())

    def largest(self) -> list[tuple[Path, int]]:
        """The largest files and their bytes, largest first."""
        sizes = [(path, _size(file)) for path, file in self.files.items()]
        return sorted(sizes, key=lambda one: (-one[1], one[0]))[:_NUM_SHOWN]

    def in_brief(self) -> str:
        """Number of files, size and the largest, as one line."""
        shown = ", ".join(f"{path} {in_mb(size)}" for path, size in self.largest())
        return f"{len(self.files)} files, {in_mb(self.num_bytes)}; largest: {shown}"

    def lay_out(self, folder: Path) -> None:
        """Copy everything into an empty folder."""
        for path, file in self.files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)


def pack(root: Path, needed: list[Path], data: list[Path]) -> Parcel:
    """Choose what goes along.

    Args:
        root: The folder whose files the job will find in its own.
        needed: Files that it reads: sweep, recipe, profile.
        data: Folders and files of data sets, which the cluster has itself.

    Raises:
        Outside: If a needed file lies elsewhere.
        GitFailed: If the folder is one of git's, which does not answer: what it ignores may be
            secret.
        TooLarge: If it would be more than `LARGEST_BYTES`.
    """
    root = root.resolve()
    data = [one.resolve() for one in data]
    data = [one for one in data if one != root and one.is_relative_to(root)]
    chosen = {path: root / path for path in _own_files(root) if _goes_along(root, path, data)}
    for file in needed:
        chosen[inside(root, file)] = file.resolve()
    for package in _PACKAGES:
        if Path(package, "__init__.py") not in chosen:
            chosen |= _installed(package)
    parcel = Parcel(dict(sorted(chosen.items())))
    if parcel.num_bytes > LARGEST_BYTES:
        raise TooLarge(
            f"a job may bring {in_mb(LARGEST_BYTES)} along, and {root} would be "
            f"{parcel.in_brief()}; move what is large to the cluster's storage, or name it in "
            ".gitignore"
        )
    return parcel


def inside(root: Path, file: Path) -> Path:
    """The file's path from the root.

    Raises:
        Outside: If it has none.
    """
    root, file = root.resolve(), file.resolve()
    if not file.is_relative_to(root):
        raise Outside(
            f"{file} does not lie in {root}, which is what the job brings along; submit from a "
            "folder that holds it"
        )
    return file.relative_to(root)


def _own_files(root: Path) -> Iterator[Path]:
    """What git tracks or would track, of a folder without git everything; relative to the root."""
    if any((folder / ".git").exists() for folder in (root, *root.parents)):
        yield from _known_to_git(root)
        return
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = [name for name in folders if _is_worth_a_look(here / name)]
        yield from ((here / name).relative_to(root) for name in names)


def _known_to_git(root: Path) -> set[Path]:
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root, capture_output=True, check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise GitFailed(f"{root} is one of git's, and git is not installed here") from error
    if listed.returncode != 0:
        told = os.fsdecode(listed.stderr).strip()
        raise GitFailed(f"git does not say which files of {root} it ignores: {told}")
    return {Path(os.fsdecode(name)) for name in listed.stdout.split(b"\0") if name}


def _is_worth_a_look(folder: Path) -> bool:
    is_environment = (folder / "pyvenv.cfg").exists()
    return not (folder.name.startswith(".") or folder.name in _LEFT_OUT or is_environment)


def _goes_along(root: Path, path: Path, data: list[Path]) -> bool:
    if any(part.startswith(".") or part in _LEFT_OUT for part in path.parts):
        return False
    if path.name.startswith("mlflow.db"):
        return False
    file = (root / path).resolve()  # a link to somewhere else is not the folder's own
    is_data = any(file.is_relative_to(one) for one in data)
    return file.is_file() and file.is_relative_to(root) and not is_data


def _installed(package: str) -> dict[Path, Path]:
    """The files of one of our own packages where it was imported from."""
    import resnet_core
    import sweeps

    (folder,) = {"resnet_core": resnet_core, "sweeps": sweeps}[package].__path__
    top = Path(folder)
    files = [file for file in top.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    return {Path(package) / file.relative_to(top): file for file in files}


def _size(file: Path) -> int:
    return file.stat().st_size


def in_mb(num_bytes: int) -> str:
    """As text; files below 50 kB count in kB."""
    return f"{num_bytes / 1e6:.1f} MB" if num_bytes >= 50_000 else f"{num_bytes / 1e3:.1f} kB"
