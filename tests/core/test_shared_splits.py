"""Splits that all processes of a machine map."""

from pathlib import Path

import pytest
import torch

from resnet_core.data.dataset import Split
from resnet_core.data.shared_splits import Splits, map_splits, write_splits


def make_split(count: int, seed: int) -> Split:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (count, 3, 4, 4), dtype=torch.uint8, generator=generator)
    return Split(images, torch.randint(10, (count,), generator=generator))


@pytest.fixture
def splits() -> Splits:
    return make_split(8, 1), make_split(4, 2), make_split(2, 3)


def mapped_files() -> str:
    return Path("/proc/self/maps").read_text()


def test_what_is_mapped_is_what_was_written_and_lies_in_files(splits, tmp_path):
    write_splits(tmp_path / "digits", splits)
    found = map_splits(tmp_path / "digits")
    assert found is not None
    for one, other in zip(found, splits, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
    assert str(tmp_path / "digits" / "train.images.npy") in mapped_files()
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


def test_a_validation_split_that_is_the_test_split_is_written_once(splits, tmp_path):
    train, _, test = splits
    write_splits(tmp_path / "digits", (train, test, test))
    found = map_splits(tmp_path / "digits")
    assert found is not None
    assert found[1] is found[2]
    assert not (tmp_path / "digits" / "validation.images.npy").exists()


@pytest.mark.parametrize("damage", ["flip", "shorten", "remove", "manifest", "no manifest"])
def test_what_is_damaged_is_not_taken_and_can_be_written_again(splits, tmp_path, damage):
    folder = tmp_path / "digits"
    write_splits(folder, splits)
    file, manifest = folder / "train.images.npy", folder / "manifest.json"
    content = bytearray(file.read_bytes())
    match damage:
        case "flip":
            content[-1] ^= 1
            file.write_bytes(content)
        case "shorten":
            file.write_bytes(content[:-1])
        case "remove":
            file.unlink()
        case "manifest":
            manifest.write_text("[]")
        case _:
            manifest.unlink()
    assert map_splits(folder) is None
    write_splits(folder, splits)
    assert map_splits(folder) is not None


def test_nothing_half_written_is_left_where_nothing_can_be_written(splits, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        write_splits(tmp_path / "file" / "digits", splits)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_is_written_to_a_mapped_tensor_stays_in_this_process(splits, tmp_path):
    write_splits(tmp_path / "digits", splits)
    first, again = map_splits(tmp_path / "digits"), None
    assert first is not None
    first[0].images.zero_()
    again = map_splits(tmp_path / "digits")
    assert again is not None
    assert torch.equal(again[0].images, splits[0].images)
