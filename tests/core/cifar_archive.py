"""Small archives in CIFAR's format, pickled as the published ones were in 2009."""

import hashlib
import io
import pickle
import struct
import tarfile
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torchvision.datasets import CIFAR10, CIFAR100

DATASETS: dict[str, type[CIFAR10]] = {"cifar10": CIFAR10, "cifar100": CIFAR100}
NUM_CLASSES = {"cifar10": 10, "cifar100": 100}
LABELS = {"cifar10": "labels", "cifar100": "fine_labels"}


class OldPickler(pickle._Pickler):  # pyright: ignore[reportAttributeAccessIssue]
    """Writes numpy's types, and strings of bytes, as Python and numpy of 2009 did."""

    write: Callable[[bytes], object]
    dispatch: ClassVar[dict[Any, Any]] = pickle._Pickler.dispatch.copy()  # pyright: ignore[reportAttributeAccessIssue]

    def save_string(self, obj: bytes) -> None:
        self.write(pickle.BINSTRING + struct.pack("<i", len(obj)) + obj)

    dispatch[bytes] = save_string

    def save_global(self, obj: Any, name: str | None = None) -> None:
        module = obj.__module__.replace("numpy._core", "numpy.core")
        self.write(pickle.GLOBAL + f"{module}\n{name or obj.__name__}\n".encode())

    dispatch[types.FunctionType] = dispatch[types.BuiltinFunctionType] = save_global

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, np.dtype):
            return np.dtype, (obj.str[1:], 0, 1), (3, "|", None, None, None, -1, -1, 0)
        if isinstance(obj, type):
            return obj.__name__
        return NotImplemented


def old_pickle(value: Any) -> bytes:
    buffer = io.BytesIO()
    OldPickler(buffer, protocol=2).dump(value)
    return buffer.getvalue()


def batch(name: str, num: int, seed: int) -> dict[str, Any]:
    """Labels in turn, and rows of 3,072 random pixels."""
    data = np.random.default_rng(seed).integers(0, 256, (num, 3072), dtype=np.uint8)
    return {LABELS[name]: [index % NUM_CLASSES[name] for index in range(num)], "data": data}


@dataclass
class Archive:
    """A small archive in CIFAR's format, and what torchvision has to know to take it."""

    data: bytes
    train: list[dict[str, Any]]
    test: dict[str, Any]
    facts: dict[str, Any]


def make_archive(name: str) -> Archive:
    num = 2 * NUM_CLASSES[name]
    train, test = [batch(name, num, 1), batch(name, num, 2)], batch(name, num, 3)
    names = {DATASETS[name].meta["key"]: ["a class"] * NUM_CLASSES[name]}
    files = {"one": train[0], "two": train[1], "test": test, "meta": names}
    pickled = {file: old_pickle(content) for file, content in files.items()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for file, content in pickled.items():
            entry = tarfile.TarInfo(f"{DATASETS[name].base_folder}/{file}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    md5 = {file: hashlib.md5(content).hexdigest() for file, content in pickled.items()}
    facts = {
        "tgz_md5": hashlib.md5(buffer.getvalue()).hexdigest(),
        "train_list": [["one", md5["one"]], ["two", md5["two"]]],
        "test_list": [["test", md5["test"]]],
        "meta": {"filename": "meta", "key": DATASETS[name].meta["key"], "md5": md5["meta"]},
    }
    return Archive(buffer.getvalue(), train, test, facts)
