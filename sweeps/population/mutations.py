"""A trial that takes over another one's weights and hyper-parameters, on disk and for good.

    t0003-5be1ffb2/
      recipe.yaml          as it stands now: with the values taken over last
      mutations.jsonl      one line for each time
      inherited/           the donor's checkpoint, only until it is in its place
      checkpoints/ep0004/  after a mutation at epoch 4: the donor's, bit for bit

The line in the log is what decides: without it nothing has happened, and with it `finish` does, or
does again, whatever a killed driver left undone. So a sweep goes on from the folders alone. Both
trials have trained the same number of epochs then; the history in ``metrics.jsonl`` stays the
trial's own up to that epoch and is the heir's from the next one on. Needs neither torch nor Ray.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from resnet_core.dotted_paths import get_path, set_path
from resnet_core.recipe import Recipe

FILE_NAME = "mutations.jsonl"
_STAGED = "inherited"


@dataclass(frozen=True)
class Mutation:
    """One time that a trial took over another one.

    Attributes:
        epoch: Completed epochs of both.
        donor: Index of the trial that was taken over.
        model_sha256: Of the donor's weights, as its checkpoint's manifest has it.
        before: Recipe path -> the trial's value until then, of every key that may change.
        after: Likewise, from then on.
        value: The trial's objective at that epoch.
        donor_value: The donor's.
    """

    epoch: int
    donor: int
    model_sha256: str
    before: dict[str, Any]
    after: dict[str, Any]
    value: float
    donor_value: float


def read_mutations(folder: Path) -> list[Mutation]:
    """What a trial took over so far, oldest first."""
    file = folder / FILE_NAME
    if not file.exists():
        return []
    return [Mutation(**json.loads(line)) for line in file.read_text().splitlines()]


def inherited_epoch(folder: Path) -> int:
    """The epoch at which the trial last took over another one; 0 if it never did."""
    mutations = read_mutations(folder)
    return mutations[-1].epoch if mutations else 0


def current_values(folder: Path, paths: list[str]) -> dict[str, Any]:
    """Recipe path -> the value that a trial trains with now."""
    data = Recipe.from_yaml(folder / "recipe.yaml").to_dict()
    return {path: get_path(data, path) for path in paths}


def recipe_with(folder: Path, values: dict[str, Any]) -> Recipe:
    """A trial's recipe with some values replaced.

    Raises:
        ValueError: If they make no possible recipe.
    """
    data = Recipe.from_yaml(folder / "recipe.yaml").to_dict()
    for path, value in values.items():
        data = set_path(data, path, value)
    return Recipe.model_validate(data)


def checkpoint_of(folder: Path, epoch: int) -> Path:
    """Where a trial's checkpoint of an epoch lies."""
    return folder / "checkpoints" / f"ep{epoch:04d}"


def model_sha256(folder: Path, epoch: int) -> str:
    """The digest of a trial's weights after an epoch.

    Raises:
        OSError: If there is no such checkpoint, or its manifest is damaged.
    """
    file = checkpoint_of(folder, epoch) / "manifest.json"
    try:
        return json.loads(file.read_text())["sha256"]["model.pt"]
    except (ValueError, TypeError, LookupError) as error:
        raise OSError(f"{file} is damaged: {error}") from error


def take_over(folder: Path, donor: Path, mutation: Mutation) -> None:
    """Make a trial go on from another one's checkpoint; neither is training meanwhile.

    Raises:
        OSError: If the donor has no checkpoint of that epoch, or nothing can be written.
    """
    staged = folder / _STAGED
    shutil.rmtree(staged, ignore_errors=True)
    _share(checkpoint_of(donor, mutation.epoch), staged)
    lines = [asdict(one) for one in [*read_mutations(folder), mutation]]
    text = "".join(f"{json.dumps(line, sort_keys=True)}\n" for line in lines)
    _replace(folder / FILE_NAME, lambda file: file.write_text(text))
    finish(folder)


def finish(folder: Path) -> None:
    """Bring checkpoints and recipe to what the log says; changes nothing where they agree."""
    mutations = read_mutations(folder)
    staged = folder / _STAGED
    if not mutations:
        shutil.rmtree(staged, ignore_errors=True)
        return
    last = mutations[-1]
    if staged.exists() and _is_of(staged, last):
        own = [p for p in (folder / "checkpoints").glob("ep*") if p.name[2:].isdecimal()]
        for checkpoint in own:
            if int(checkpoint.name[2:]) >= last.epoch:
                shutil.rmtree(checkpoint)
        target = checkpoint_of(folder, last.epoch)
        target.parent.mkdir(exist_ok=True)
        staged.replace(target)
    shutil.rmtree(staged, ignore_errors=True)
    if current_values(folder, list(last.after)) != last.after:
        recipe = recipe_with(folder, last.after)
        _replace(folder / "recipe.yaml", lambda file: file.write_text(recipe.to_yaml()))


def _is_of(staged: Path, mutation: Mutation) -> bool:
    manifest = json.loads((staged / "manifest.json").read_text())
    found = (manifest["epoch"], manifest["sha256"]["model.pt"])
    return found == (mutation.epoch, mutation.model_sha256)


def _share(checkpoint: Path, target: Path) -> None:
    """The same files under another name; copies where the file system links none."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(checkpoint, temporary, copy_function=_link)
    temporary.replace(target)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(temporary)
        temporary.replace(path)
    except OSError:  # a full disk
        temporary.unlink(missing_ok=True)
        raise
