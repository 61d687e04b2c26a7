"""Images that cannot be trained on: the file is named, and what to do; nothing is a traceback."""

import io
import os
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resnet_core import Recipe, fit
from sweeps.worker import reason_of
from tests.faults.table import Table

pytestmark = [pytest.mark.faults, pytest.mark.faults_in_ci]

RECIPE = """\
model: {{name: resnet_20, num_classes: 3, initial_stem: cifar}}
optimizer:
  decoupled_sgdw: {{learning_rate: 0.02, momentum: 0.9, weight_decay: 5e-4}}
train_batch_size: 6
max_duration: 1ep
loader_processes: 0
methods: {{resolution: {{train_px: 8, evaluation_px: 8}}}}
data: {{image_folder: {{path: {folder}}}}}
"""
CLASSES = ("ant", "bee", "cat")
PER_CLASS = {"train": 6, "val": 2, "test": 2}


def encoded(kind: str, seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Real images in a real folder, half of them JPEG and half PNG; beside it their recipe."""
    for split, num in PER_CLASS.items():
        for name in CLASSES:
            (tmp_path / "images" / split / name).mkdir(parents=True)
            for index in range(num):
                kind = ("JPEG", "PNG")[index % 2]
                path = tmp_path / "images" / split / name / f"{index}.{kind.lower()}"
                path.write_bytes(encoded(kind, index))
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(folder=tmp_path / "images"))
    return tmp_path / "images"


def truncated(data: bytes, moments: random.Random) -> bytes:
    # Of a JPEG and a PNG of this size the headers take less than 700 bytes.
    return data[: moments.randrange(700, len(data) - 100)]


def damaged(data: bytes, moments: random.Random) -> bytes:
    """A PNG some of whose compressed pixels were overwritten."""
    at = moments.randrange(100, len(data) - 500)
    return data[:at] + b"\xff" * 300 + data[at + 300 :]


def huge(data: bytes, moments: random.Random) -> bytes:
    """A PNG of some kilobytes that says it has ten thousand million pixels."""
    data = data[:16] + struct.pack(">II", 100_000, 100_000) + data[24:]  # of the chunk from 12 on
    return data[:29] + struct.pack(">I", zlib.crc32(data[12:29])) + data[33:]


def deep(data: bytes, moments: random.Random) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 50), moments.randrange(2**16), dtype=np.uint16)).save(
        buffer, "PNG"
    )
    return buffer.getvalue()


Damage = Callable[[bytes, random.Random], bytes]
BROKEN: dict[str, tuple[str, Damage, str]] = {
    "truncated JPEG": ("jpeg", truncated, "truncated"),
    "truncated PNG": ("png", truncated, "truncated"),
    "PNG damaged in the middle": ("png", damaged, "cannot be decoded"),
    "text named .jpeg": ("jpeg", lambda *_: b"not an image at all\n", "not an image"),
    "empty file": ("jpeg", lambda *_: b"", "not an image"),
    "16-bit PNG": ("png", deep, "more than 8 bits per channel"),
    "decompression bomb": ("png", huge, "decompression bomb"),
}


def break_one(folder: Path, name: str, moments: random.Random) -> Path:
    """Damage an image that the training and the evaluation are certain to read."""
    suffix, damage, _ = BROKEN[name]
    split = moments.choice(["train", "val"])
    path = moments.choice(sorted((folder / split).glob(f"*/*.{suffix}")))
    path.write_bytes(damage(path.read_bytes(), moments))
    return path


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_image_is_named_with_the_way_out_and_skipped_where_that_is_wanted(
    folder: Path, faults: Table, moments: random.Random, name: str
):
    with faults.trial(f"image: {name}"):
        path = break_one(folder, name, moments)
        recipe = Recipe.from_yaml(folder.parent / "recipe.yaml")
        with pytest.raises(OSError, match=BROKEN[name][2]) as caught:
            list(fit(recipe))
        assert str(caught.value).startswith(f"{path}: ")
        assert "on_bad_image: skip" in str(caught.value)
        assert reason_of(caught.value) == "data"  # which stops a sweep

        skip = ["data.image_folder.on_bad_image=skip"]
        with pytest.warns(UserWarning, match="could not be read"):
            (result,) = fit(Recipe.from_yaml(folder.parent / "recipe.yaml", skip))
        assert result.skipped_images == (1 if "train" in path.parts else 0)
        assert np.isfinite(result.val_loss)


def test_an_empty_class_folder_is_named(folder: Path, faults: Table, moments: random.Random):
    with faults.trial("image: empty class folder"):
        empty = folder / moments.choice(["train", "val"]) / moments.choice(CLASSES)
        for path in empty.iterdir():
            path.unlink()
        with pytest.raises(FileNotFoundError) as caught:
            next(fit(Recipe.from_yaml(folder.parent / "recipe.yaml")))
        message = f"{empty.parent} holds no image of classes: {empty.name}; add some or remove"
        assert str(caught.value).startswith(message)
        assert reason_of(caught.value) == "data"


def test_a_class_folder_that_only_one_split_has_is_named(
    folder: Path, faults: Table, moments: random.Random
):
    with faults.trial("image: class of one split only"):
        split = moments.choice(["val", "test"])
        (folder / split / "dog").mkdir()
        (folder / split / "dog/0.png").write_bytes(encoded("PNG", 0))
        with pytest.raises(ValueError, match=f"{folder / split} adds classes: dog"):
            next(fit(Recipe.from_yaml(folder.parent / "recipe.yaml")))


MODULE = """
import torch

class Images:
    num_classes = 3

    def __init__(self, at, label):
        self.at, self.label = at, label

    def split(self, name):
        return [
            (torch.zeros(3, 8, 8, dtype=torch.uint8), self.label if index == self.at else index % 3)
            for index in range(18)
        ]
"""


def test_a_label_outside_the_classes_is_named_with_its_image(
    folder: Path, faults: Table, moments: random.Random, monkeypatch: pytest.MonkeyPatch
):
    with faults.trial("image: label outside the classes"):
        at, label = moments.randrange(18), moments.choice([-1, 3, 2**40])
        (folder.parent / "labelled.py").write_text(MODULE)
        monkeypatch.syspath_prepend(folder.parent)
        custom = f"{{entry: 'labelled:Images', options: {{at: {at}, label: {label}}}}}"
        sets = ["data.image_folder=null", f"data.custom={custom}"]
        with pytest.raises(ValueError, match=f"num_classes - 1 = 2, got {label}$") as caught:
            next(fit(Recipe.from_yaml(folder.parent / "recipe.yaml", sets)))
        assert str(caught.value).startswith(f"labelled:Images train[{at}]: a label is from 0")
        assert reason_of(caught.value) == "data"


@pytest.mark.e2e
def test_the_command_line_names_a_broken_image_and_shows_no_traceback(
    folder: Path, faults: Table, moments: random.Random
):
    name = moments.choice(list(BROKEN))
    with faults.trial("image: broken one, sweeps train"):
        path = break_one(folder, name, moments)
        command = [sys.executable, "-m", "sweeps", "train", "recipe.yaml"]
        command += ["--set", "loader_processes=1"]
        done = subprocess.run(
            command, cwd=folder.parent, env=dict(os.environ), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{path}: " in done.stderr
        assert "Traceback" not in done.stderr
