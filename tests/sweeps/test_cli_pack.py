import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweeps.cli import app
from tests.core.packed_images import make_folder


def run(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    done = CliRunner().invoke(app, ["pack", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def source(tmp_path) -> Path:
    return make_folder(tmp_path / "images", train=4, val=2)


def test_pack_says_what_was_packed_and_how_to_train_on_it(source, tmp_path):
    status, told, beside = run(source, tmp_path / "packed", "--size", "32", "--processes", "1")
    assert (status, told) == (
        0,
        f"{tmp_path}/packed: train 8, val 4 images of 2 classes, 32 px rgb, 0.00 GB\n",
    )
    assert f"--set data={{packed: {{path: {tmp_path}/packed}}}}" in beside
    status, told, _ = run("--verify", tmp_path / "packed", "-o", "json")
    assert status == 0
    assert json.loads(told) == {
        "folder": f"{tmp_path}/packed",
        "source": str(source),
        "size_px": 32,
        "format": "rgb",
        "bytes": 12 * 3 * 32 * 32,
        "num_classes": 2,
        "splits": {
            "train": {"num_images": 8, "skipped": []},
            "val": {"num_images": 4, "skipped": []},
        },
    }


def test_a_bad_image_names_itself_and_the_option_that_leaves_it_out(source, tmp_path):
    bad = source / "val/ant/000.png"
    bad.write_bytes(b"nothing")
    packed = [source, tmp_path / "packed", "--size", "32"]
    status, _, told = run(*packed)
    assert status == 2
    assert f"{bad}: cannot be decoded (not an image" in told
    assert "--skip-bad-images" in told
    status, _, told = run(*packed, "--skip-bad-images")
    assert status == 0
    assert f"skipped in val: {bad}" in told


def test_damage_that_verification_finds_is_an_error_with_the_file(source, tmp_path):
    packed = tmp_path / "packed"
    assert run(source, packed, "--size", "32")[0] == 0
    content = bytearray((packed / "val-00000.records").read_bytes())
    content[-1] ^= 128
    (packed / "val-00000.records").write_bytes(content)
    status, _, told = run("--verify", packed)
    assert status == 2
    assert "val-00000.records: its sha256 is not the manifest's" in told


@pytest.mark.parametrize(("arguments", "status", "message"), [
    ([], 2, "name SOURCE and DEST, or --verify DEST"),
    (["images"], 2, "name SOURCE and DEST, or --verify DEST"),
    (["images", "packed", "--verify", "packed"], 2, "name SOURCE and DEST, or --verify DEST"),
    (["images", "packed", "--size", "31", "--format", "yuv420"], 2, "the nearest that are: 30 and"),
    (["images", "packed", "--size", "4"], 2, "size must be from 8 to 2048 pixels, got 4"),
    (["images", "packed", "--format", "bgr"], 2, "'bgr'"),
    (["nowhere", "packed"], 2, "nowhere/train is not there"),
    (["images", "images"], 3, "images holds other files"),
    (["--verify", "nowhere"], 6, "holds no packed images"),
])  # fmt: skip
def test_what_cannot_be_is_refused_with_the_way_out(
    source, tmp_path, monkeypatch, arguments, status, message
):
    monkeypatch.chdir(tmp_path)
    found, told, beside = run(*arguments)
    assert (found, told) == (status, "")
    # The box around an error of the command line breaks its lines.
    assert message in " ".join(beside.replace("│", " ").split())
