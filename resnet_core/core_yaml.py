"""YAML text to plain data with the place of every key and value; a strict part of YAML 1.2.

Scalars follow the YAML 1.2 core schema: ``1e-3`` is a number, ``no`` and ``12:30`` are text,
``012`` is 12. What makes a file mean something else than it seems to is a fault: equal keys, tabs,
anchors, aliases, merge keys, tags, keys that are not text, a second document, deep nesting, more
values than anybody writes. Reading goes on after a fault where it can, so that all of them are
found in one go.

Source: yaml.org/spec/1.2.2, section 10.3 (core schema). PyYAML's parser supplies the events.
"""

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from resnet_core.problems import Loc

MAX_DEPTH = 20
MAX_VALUES = 20_000
"""Keys, values, lists and mappings of one document; what a person writes has some hundred."""
MAX_FAULTS = 100
"""Told of one document. Reading and judging take time for each one, and nobody reads so many."""
_LONGEST_NUMBER = 400

_LINE_BREAK = "a line break that editors do not see; end lines with LF"
_MISREAD = {"\t": "a tab; YAML is indented with spaces"}
_MISREAD |= dict.fromkeys("\r\x85\u2028\u2029", _LINE_BREAK)
_AS_SPACES = str.maketrans(dict.fromkeys(_MISREAD, " "))

_NULLS = {"", "~", "null", "Null", "NULL"}
_BOOLEANS = {"true": True, "True": True, "TRUE": True}
_BOOLEANS |= {"false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?[0-9]+", re.ASCII)
_PREFIXED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class Place(NamedTuple):
    """A position in the text; both count from 1, columns in characters."""

    line: int
    column: int


class Fault(NamedTuple):
    """Something the reader refuses, and where."""

    place: Place
    loc: Loc
    message: str


@dataclass
class Document:
    """What a text holds: data, the place of each key and value, and the faults."""

    data: Any = None
    keys: dict[Loc, Place] = field(default_factory=dict)
    values: dict[Loc, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def read_document(text: str) -> Document:
    """Read one YAML document; an empty text gives no data and no fault."""
    reader = _Reader()
    document = reader.document
    text = text.replace("\r\n", "\n")
    for number, line in enumerate(text.split("\n"), start=1):
        for character, message in _MISREAD.items():
            if (at := line.find(character)) >= 0:
                document.faults.append(Fault(Place(number, at + 1), (), message))
        if len(document.faults) >= MAX_FAULTS:
            break
    try:
        for event in yaml.parse(text.translate(_AS_SPACES), Loader=yaml.SafeLoader):
            if not reader.take(event):
                break
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        document.faults.append(Fault(place, (), "a character that text files do not hold"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
        document.faults.append(Fault(place, (), f"not YAML: {error.problem or error.context}"))
    return document


def read_plain_scalar(text: str) -> Any:
    """The value of an unquoted scalar in the YAML 1.2 core schema."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _DECIMAL.fullmatch(text):
        return int(text)
    if _PREFIXED.fullmatch(text):
        return int(text, base=0)
    if _FLOAT.fullmatch(text) or _SPECIAL_FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def write_document(data: Any) -> str:
    """YAML text that `read_document` reads back as equal data; keys keep their order."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Write a value out wherever it stands, as `read_document` demands."""
        return True


def _quote_if_needed(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    # PyYAML leaves 1e-3 bare, because to YAML 1.1 it is text.
    style = None if isinstance(read_plain_scalar(text), str) else "'"
    if not _MISREAD.keys().isdisjoint(text):
        style = '"'  # as escapes
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _quote_if_needed)


@dataclass
class _Open:
    """A mapping or list whose end has not come yet."""

    items: dict[str, Any] | list[Any]
    loc: Loc
    key: str | None = None
    is_repeat: bool = False  # the key stands here for the second time


class _Reader:
    def __init__(self) -> None:
        self.document = Document()
        self._open: list[_Open] = []
        self._num_documents = 0
        self._num_values = 0

    def take(self, event: yaml.Event) -> bool:
        """Add one event; False means that the rest cannot be understood."""
        place = Place(event.start_mark.line + 1, event.start_mark.column + 1)
        self._num_values += isinstance(event, yaml.NodeEvent)
        if self._num_values > MAX_VALUES:
            return self._stop(place, f"more than {MAX_VALUES:,} keys and values")
        if len(self.document.faults) >= MAX_FAULTS:
            return self._stop(place, f"{MAX_FAULTS} faults so far; the rest was not read")
        match event:
            case yaml.DocumentStartEvent():
                self._num_documents += 1
                if self._num_documents > 1:
                    return self._stop(place, "a second document; a file holds one")
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._open.pop()
            case yaml.AliasEvent():
                self._fault(place, f"alias *{event.anchor}; write the value out")
                self._add_scalar(None, place, name=f"*{event.anchor}")
            case yaml.ScalarEvent():
                self._refuse_anchor_and_tag(event, place)
                self._take_scalar(event, place)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._refuse_anchor_and_tag(event, place)
                if self._expects_key():
                    return self._stop(place, "a key must be plain text, not a mapping or a list")
                if len(self._open) >= MAX_DEPTH:
                    return self._stop(place, f"nested more than {MAX_DEPTH} deep")
                items = {} if isinstance(event, yaml.MappingStartEvent) else []
                self._open.append(_Open(items, self._add(items, place)))
        return True

    def _take_scalar(self, event: yaml.ScalarEvent, place: Place) -> None:
        text = event.value
        plain = event.style is None
        if plain and self._expects_key() and text == "<<":
            self._fault(place, "merge key; write the keys out", loc=self._child_loc(text))
        if plain and len(text) > _LONGEST_NUMBER and _DECIMAL.fullmatch(text):
            self._fault(place, f"a number of {len(text)} digits")
            plain = False
        self._add_scalar(read_plain_scalar(text) if plain else text, place, name=text)

    def _add_scalar(self, value: Any, place: Place, *, name: str) -> None:
        if not self._expects_key():
            self._add(value, place)
            return
        parent = self._open[-1]
        loc = self._child_loc(name)
        if not isinstance(value, str) and not name.startswith("*"):
            self._fault(place, f"a key must be text; write '{name}' in quotes", loc=loc)
        parent.key = name
        parent.is_repeat = name in parent.items
        if parent.is_repeat:
            first = self.document.keys[loc].line
            self._fault(place, f"duplicate key; it stands already in line {first}", loc=loc)
        else:
            self.document.keys[loc] = place

    def _add(self, value: Any, place: Place) -> Loc:
        if not self._open:
            self.document.data = value
            self.document.values[()] = place
            return ()
        parent = self._open[-1]
        loc = self._child_loc(parent.key or "")
        if isinstance(parent.items, list):
            parent.items.append(value)
        elif not parent.is_repeat:
            parent.items[parent.key or ""] = value
        if not parent.is_repeat:
            self.document.values[loc] = place
        parent.key = None
        return loc

    def _expects_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].items, dict) and (
            self._open[-1].key is None
        )  # fmt: skip

    def _child_loc(self, key: str) -> Loc:
        parent = self._open[-1]
        return (*parent.loc, len(parent.items) if isinstance(parent.items, list) else key)

    def _refuse_anchor_and_tag(self, event: Any, place: Place) -> None:
        if event.anchor is not None:
            self._fault(place, f"anchor &{event.anchor}; write the value out where it is used")
        if event.tag is not None:
            self._fault(place, f"tag {event.tag}; values are plain text, numbers, lists, mappings")

    def _fault(self, place: Place, message: str, *, loc: Loc | None = None) -> None:
        if loc is None:
            loc = self._open[-1].loc if self._open else ()
            if self._open and self._open[-1].key is not None:
                loc = self._child_loc(self._open[-1].key)
        self.document.faults.append(Fault(place, loc, message))

    def _stop(self, place: Place, message: str) -> bool:
        self._fault(place, message)
        return False
