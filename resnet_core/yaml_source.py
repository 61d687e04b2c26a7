"""Recipe and sweep files: read once, checked once, and every problem told with file:line:column."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from resnet_core.core_yaml import read_document
from resnet_core.credentials import without_credentials
from resnet_core.plain_errors import explain, written
from resnet_core.problems import (
    InvalidFile,
    Loc,
    Problem,
    did_you_mean,
    format_path,
)

__all__ = ["InvalidFile", "Problem", "YamlSource", "read_yaml", "validate"]

LARGEST_FILE_BYTES = 1_000_000

Position = tuple[str, int, int]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class YamlSource:
    """A file's data, and where each part of it was written.

    Attributes:
        path: The file.
        text: As written, before any ``--set``.
        data: Plain mappings, lists and scalars, every ``--set`` applied.
        keys: Position of each key.
        values: Position of each value.
    """

    path: Path
    text: str
    data: dict[str, Any]
    keys: dict[Loc, Position]
    values: dict[Loc, Position]

    def position(self, loc: Loc, *, of_key: bool = False) -> Position:
        """File, line and column, both from 1, of a value or of its key.

        A loc that is not there gets the position of its nearest ancestor's key. Of what ``--set``
        brought, the file is ``--set a.b=v`` and line and column are 0.
        """
        if not of_key and loc in self.values:
            return self.values[loc]
        for end in range(len(loc), 0, -1):
            if loc[:end] in self.keys:
                return self.keys[loc[:end]]
            if loc[:end] in self.values:
                return self.values[loc[:end]]
        return (str(self.path), 1, 1)

    def problem(self, loc: Loc, message: str, *, of_key: bool = False) -> Problem:
        """A problem at the position of a value or of its key."""
        return Problem(*self.position(loc, of_key=of_key), format_path(loc), message)


def read_yaml(
    path: str | Path, sets: Iterable[str] = (), *, dotted_keys: Collection[str] = ()
) -> YamlSource:
    """Read a YAML file whose top level is a mapping.

    Args:
        path: The file, at most 1 MB of UTF-8.
        sets: ``a.b=v`` each: a dotted path and a YAML value that replaces what the file says.
        dotted_keys: Top-level mappings whose own keys are dotted paths, as a sweep's ``space``.

    Raises:
        InvalidFile: With everything that is wrong; a missing file too.
    """
    path = Path(path)
    text = _read_text(path)
    document = read_document(text)
    file = str(path)
    problems = [Problem(file, *f.place, format_path(f.loc), f.message) for f in document.faults]
    if not problems and document.data is None:
        problems.append(Problem(file, 1, 1, "", "the file is empty"))
    elif not problems and not isinstance(document.data, dict):
        message = f"a file must be a mapping of keys to values, got {written(document.data)}"
        problems.append(Problem(file, 1, 1, "", message))
    data = document.data if isinstance(document.data, dict) else {}
    keys = {loc: (file, place.line, place.column) for loc, place in document.keys.items()}
    values = {loc: (file, place.line, place.column) for loc, place in document.values.items()}
    source = YamlSource(path, text, data, keys, values)
    for one in sets:
        problems += _apply_set(source, one, dotted_keys)
    if problems:
        raise InvalidFile(problems)
    return source


def validate(model_class: type[Model], source: YamlSource, *, at: Loc = ()) -> Model:
    """Make a model of a file's data, or of the part at ``at``.

    Raises:
        InvalidFile: With every complaint of the model, in plain words, at its position.
    """
    data: Any = source.data
    for part in at:
        data = data[part]
    try:
        return model_class.model_validate(data)
    except ValidationError as error:
        raise InvalidFile(
            source.problem((*at, *found.loc), found.message, of_key=found.of_key)
            for found in explain(error, model_class, data)
        ) from None


def _read_text(path: Path) -> str:
    try:
        if not path.exists():
            folder = path.parent
            names = [file.name for file in folder.iterdir()] if folder.is_dir() else []
            hint = did_you_mean(path.name, names)
            raise InvalidFile([_whole_file(path, f"no such file{hint}")])
        if not path.is_file():
            raise InvalidFile([_whole_file(path, "not a file")])
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE_BYTES + 1)
        if len(raw) > LARGEST_FILE_BYTES:
            message = f"{path.stat().st_size:,} bytes; at most {LARGEST_FILE_BYTES:,} are read"
            raise InvalidFile([_whole_file(path, message)])
    except OSError as error:
        raise InvalidFile([_whole_file(path, f"cannot be read: {error.strerror}")]) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", errors="replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise InvalidFile([Problem(str(path), line, column, "", message)]) from None


def _whole_file(path: Path, message: str) -> Problem:
    return Problem(str(path), 0, 0, "", message)


def _apply_set(source: YamlSource, text: str, dotted_keys: Collection[str]) -> list[Problem]:
    label = f"--set {without_credentials(text)}"
    path, equals, value_text = text.partition("=")
    path = path.strip()
    if not equals or not all(path.split(".")):
        return [Problem(label, 0, 0, "", "write it as --set a.b=value")]
    value = read_document(value_text)
    if value.faults:
        return [Problem(label, 0, 0, path, fault.message) for fault in value.faults]
    node, loc, rest = source.data, (), path.split(".")
    while True:
        num_parts = _num_parts_of_key(node, rest, flat=len(loc) == 1 and loc[0] in dotted_keys)
        key, rest = ".".join(rest[:num_parts]), rest[num_parts:]
        loc = (*loc, key)
        if not rest:
            break
        if node.get(key) is None:
            node[key] = {}
            source.keys[loc] = source.values[loc] = (label, 0, 0)
        if not isinstance(node[key], dict):
            message = f"{format_path(loc)} is {written(node[key])} and holds no key {rest[0]!r}"
            return [Problem(label, 0, 0, path, message)]
        node = node[key]
    node[key] = value.data
    for positions in (source.keys, source.values):
        for below in [known for known in positions if known[: len(loc)] == loc]:
            del positions[below]
        positions[loc] = (label, 0, 0)
    return []


def _num_parts_of_key(node: dict[str, Any], parts: list[str], *, flat: bool) -> int:
    """How many of the parts make the next key; keys may hold dots themselves."""
    for count in range(len(parts), 1, -1):
        if ".".join(parts[:count]) in node:
            return count
    return len(parts) if flat else 1
