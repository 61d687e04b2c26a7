"""Hypothesis strategies: what files, arguments and formulas look like that mean to be nearly right.

Files begin as the shipped ones, or as a sweep over fields of the recipe that exist, and are changed
in their structure (keys, values, types, nesting, parts of other files) or in their text.
"""

import copy
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from hypothesis import strategies as st

from resnet_core.core_yaml import read_document, write_document
from resnet_core.dotted_paths import field_paths
from resnet_core.duration import Duration
from resnet_core.recipe import Recipe
from resnet_core.strict import leaf_types
from sweeps.space.domains import KINDS
from sweeps.spec import SweepSpec

CONFIGS = Path(__file__).parents[2] / "configs"


def _read(folder: str) -> list[dict[str, Any]]:
    files = sorted((CONFIGS / folder).glob("*.yaml"))
    return [read_document(file.read_text()).data for file in files]


# What no shipped file has.
_MORE_SWEEPS = """\
version: 1
name: a.b-c_d
extends: ../recipes/resnet18_digits.yaml
objective: {metric: val_loss, mode: min, against: [parameters, training_seconds]}
space:
  model.width_per_group: 64
  lr_schedulers.linear_warmup: {value: 1ep}
  schedule_scale: {quniform: [0.5, 1, 0.5]}
  seed: {int: [0, 1], when: {train_batch_size: [32]}}
  train_batch_size: {choice: [32, 64]}
  tf32: {grid: [true, false]}
  optimizer.decoupled_sgdw.weight_decay: {loguniform: [1e-5, 1e-3]}
  optimizer.decoupled_sgdw.learning_rate: {derive: 0.064 * train_batch_size / 64}
  eval_batch_size: {logint: [64, 1024]}
constraints: [parameters <= 30M, flops <= 5e9]
search: {algorithm: nsga2, seed: 3}
early_stopping: {fidelity: truncate, asha: {grace_period: 1ep, reduction_factor: 2, max_rungs: 2}}
budget: {trials: 9, cpu_hours: 0.5, wall_clock: 30min, target: 0.1, no_improvement: 5}
resources: {workers_per_trial: 2, cpus_per_worker: 0.5, max_concurrent_trials: auto}
tracking: {uri: null, register_winner: false}
storage: {path: null, checkpoint_share: 0.5, keep_best: 3}
---
version: 1
name: population
extends: ../recipes/resnet18_digits.yaml
space:
  optimizer.decoupled_sgdw.learning_rate: {loguniform: [0.01, 1]}
  optimizer.decoupled_sgdw.momentum: {uniform: [0.5, 0.95]}
search: {algorithm: random, trials: 4}
early_stopping: {pbt: {perturbation_interval: 2ep, quantile_ratio: 0.5, factors: [0.8, 1.2]}}
"""
RECIPES = _read("recipes")
SWEEPS = _read("sweeps") + [read_document(text).data for text in _MORE_SWEEPS.split("---\n")]
FIELDS = field_paths(Recipe)
PATHS = list(FIELDS)
KEYS = sorted({part for path in PATHS for part in path.split(".")} | set(SweepSpec.model_fields)
              | set(KINDS) | {"when", "asha", "pbt", "metric", "top_k"})  # fmt: skip

NUMBERS = st.one_of(
    st.sampled_from([0, 1, 2, -1, 0.5, 1e-300, 1e308, -0.0, 2**31, 2**63, 2**64, 10**40]),
    st.integers(-3, 4096),
    st.floats(),
)
FORMULA_PARTS = st.sampled_from(
    ["1", "0", "2.5", "1e9", "9" * 60, "8ep", "30min", "1dur", "seed", "train_batch_size",
     "max_duration", "model.name", "no.such", "+", "-", "*", "/", "//", "%", "**", "(", ")", ",",
     "min(", "max(", "round(", "sqrt(", "log2(", "ceil(", "__import__('os')", "eval(", "lambda",
     "[", "'", ".", "0x10", "1_000", "٣", "\x00"]
)  # fmt: skip
FORMULAS = st.one_of(
    st.lists(FORMULA_PARTS, max_size=12).map(" ".join),
    st.lists(FORMULA_PARTS, max_size=12).map("".join),
    st.text(max_size=30),
)
DURATIONS = st.one_of(
    st.from_regex(r"[-+]?[0-9]{0,5}(\.[0-9]{0,5})?(e[0-9])? ?(ep|ba|dur|sec|min|h|%|epochs)?",
                  fullmatch=True),
    st.text(max_size=50),
    st.tuples(NUMBERS.map(str), st.sampled_from(["ep", "ba", "dur", " h", "EP"])).map("".join),
)  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(
        ["", " ", "none", "auto", "null", "true", "1e-3", "-1ep", "~", "../../../etc/passwd", "..",
         ".", "/", "a/b", "a\x00b", "x" * 5000, "é", "\u202e", "\ud7ff", "*a", "&a", "!!t", "<<",
         "{", "[", "resnet50", "resnet18", "val_loss", "file:///etc", "http://u:p@host",
         "parameters <= 30M", "flops > 0", "parameters <= 1e999"]
    ),
    DURATIONS,
    FORMULAS,
    st.text(max_size=20),
)  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    ),
    max_leaves=8,
)


def _fitting(path: str) -> st.SearchStrategy[Any]:
    """Values that a field of the recipe takes, where its type says which."""
    annotation = FIELDS[path]
    words = [one for one in _literals(annotation) if isinstance(one, str)]
    by_type = {bool: st.booleans(), int: st.integers(1, 64), float: st.floats(0.01, 0.9),
               Duration: st.integers(0, 9).map("{}ep".format)}  # fmt: skip
    found = [values for leaf, values in by_type.items() if leaf in leaf_types(annotation)]
    found += [st.sampled_from(words)] if words else []
    return st.one_of(found) if found else VALUES


def _literals(annotation: Any) -> list[Any]:
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return list(arguments)
    return [one for argument in arguments for one in _literals(argument)]


WORDS = sorted({w for path in PATHS for w in _literals(FIELDS[path]) if isinstance(w, str)})


@st.composite
def entries(draw: st.DrawFn, path: str | None = None) -> Any:
    """One key's entry of a space, of a kind that exists, and for a path often of a kind that fits.

    Args:
        draw: Hypothesis's.
        path: Of the recipe's field.
    """
    values = VALUES if path is None or draw(st.integers(0, 3)) == 0 else _fitting(path)
    kind = draw(st.sampled_from([*sorted(KINDS), "choice", "grid", "choice"]))
    if kind in ("choice", "grid"):
        entry: dict[str, Any] = {kind: draw(st.lists(values, min_size=1, max_size=4))}
    elif kind == "derive":
        entry = {kind: draw(FORMULAS)}
    elif kind == "value":
        entry = {kind: draw(values)}
    else:
        entry = {kind: sorted(draw(st.lists(NUMBERS, min_size=2, max_size=3)))}
    if draw(st.integers(0, 5)) == 0:
        allowed = st.one_of(SCALARS, st.lists(SCALARS, max_size=3))
        entry["when"] = draw(st.dictionaries(st.sampled_from(PATHS), allowed, max_size=2))
    return entry


def _places(data: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else (
        enumerate(data) if isinstance(data, list) else ())  # fmt: skip
    return [at, *(place for key, value in items for place in _places(value, (*at, key)))]


def _at(data: Any, place: tuple[Any, ...]) -> Any:
    for part in place:
        data = data[part]
    return data


def _alike(value: Any) -> st.SearchStrategy[Any]:
    """Values of a value's own kind."""
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, int | float):
        return st.sampled_from([value + 1, value * 2, value / 2, -value, value * 1000, str(value)])
    if isinstance(value, list) and value:
        return st.permutations(value).map(lambda order: order[:-1] or order * 2)
    if isinstance(value, str):
        lengths = st.integers(0, 20).map("{}ep".format)
        return lengths if value[:1].isdigit() else st.sampled_from(WORDS)
    return VALUES


HOW = ["value", "delete", "rename", "add", "wrap", "graft", "entry", "entry", "alike", "alike"]


@st.composite
def changed(draw: st.DrawFn, originals: list[dict[str, Any]]) -> dict[str, Any]:
    """A shipped file's data after one to four changes."""
    data = copy.deepcopy(draw(st.sampled_from(originals)))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 4]))):
        places = [place for place in _places(data) if place]
        if not places:
            break
        *parent_place, key = draw(st.sampled_from(places))
        parent = _at(data, tuple(parent_place))
        how = draw(st.sampled_from(HOW))
        if how == "value":
            parent[key] = draw(VALUES)
        elif how == "alike":
            parent[key] = draw(_alike(parent[key]))
        elif how == "delete":
            del parent[key]
        elif how == "rename" and isinstance(parent, dict):
            parent[draw(st.one_of(st.sampled_from(KEYS), TEXTS))] = parent.pop(key)
        elif how == "add" and isinstance(parent, dict):
            parent[draw(st.sampled_from(KEYS))] = draw(VALUES)
        elif how == "wrap":
            for _ in range(draw(st.integers(1, 25))):
                parent[key] = [parent[key]] if draw(st.booleans()) else {"a": parent[key]}
        elif how == "graft":
            other = draw(st.sampled_from([*RECIPES, *SWEEPS]))
            parent[key] = copy.deepcopy(_at(other, draw(st.sampled_from(_places(other)))))
        elif isinstance(data.get("space"), dict):
            path = draw(st.sampled_from(PATHS))
            data["space"][path] = draw(entries(path))
    return data


TOKENS = st.one_of(
    st.sampled_from(
        ["\t", "&a ", "*a", "<<: ", "---\n", "...\n", "!!python/object/apply:os.system ['true']",
         "{", "}", "[", "]", "\x00", "\ufeff", "- ", "? ", ": ", '"', "'", "|\n", ">\n", "#", "%",
         "\n", "  ", "\u2028", "\x85", "@", "`", "0x", "seed: 1\n", "a: &a [*a, *a]\n", "\ud7ff"]
    ),
    st.text(max_size=4),
)  # fmt: skip


@st.composite
def texts(draw: st.DrawFn, originals: list[dict[str, Any]]) -> bytes:
    """A file as bytes: changed in its structure, in its text, or in both."""
    data = draw(st.one_of(st.sampled_from(originals), changed(originals), changed(originals)))
    text = write_document(data)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 3]))):
        begin = draw(st.integers(0, len(text)))
        end = min(len(text), begin + draw(st.integers(0, 10)))
        text = text[:begin] + draw(TOKENS) + text[end:]
    raw = text.encode("utf-8", errors="surrogatepass")
    if draw(st.integers(0, 19)) == 0:
        begin = draw(st.integers(0, len(raw)))
        raw = raw[:begin] + draw(st.binary(max_size=4)) + raw[begin:]
    return raw


@st.composite
def sets(draw: st.DrawFn) -> str:
    """The argument of ``--set``: mostly a path that exists, and any value."""
    paths = [*PATHS, *SweepSpec.model_fields, "budget.wall_clock", "resources.workers_per_trial"]
    path = draw(st.one_of(
        st.sampled_from(paths),
        st.sampled_from(paths).map("space.".__add__),
        st.lists(st.sampled_from([*KEYS, "", " "]), max_size=6).map(".".join),
        TEXTS,
    ))  # fmt: skip
    value = draw(st.one_of(TEXTS, VALUES.map(write_document), entries().map(write_document)))
    return path + draw(st.sampled_from(["=", "=", "=", "", "==", " = "])) + value
