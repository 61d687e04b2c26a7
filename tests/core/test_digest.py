import numpy as np
import torch
from PIL import Image

from resnet_core.data.dataset import Split, StreamedSplit
from resnet_core.data.digest import split_digest
from resnet_core.data.folder import load_folder
from resnet_core.data.section import ImageFolderConfig


def split(pixel=7, label=1):
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    images[1, 2, 3, 3] = pixel
    return Split(images, torch.tensor([0, label]))


def test_one_pixel_or_one_label_makes_another_digest():
    digest = split_digest(split(), "")
    assert digest == split_digest(split(), "whatever made it")
    assert len({digest, split_digest(split(pixel=8), ""), split_digest(split(label=2), "")}) == 3


def test_the_same_bytes_in_another_shape_are_other_images():
    one = Split(torch.zeros(1, 3, 2, 8, dtype=torch.uint8), torch.zeros(1))
    other = Split(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), torch.zeros(1))
    assert split_digest(one, "") != split_digest(other, "")


def folder_digest(root):
    _, (train, *_) = load_folder(ImageFolderConfig(path=str(root)))
    return split_digest(StreamedSplit(train), "")


def test_a_folder_is_told_by_names_classes_and_sizes_wherever_it_lies(tmp_path):
    root = tmp_path / "here"
    for part in ("train", "val", "test"):
        for name in ("cat", "dog"):
            (root / part / name).mkdir(parents=True)
            Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(root / part / name / "1.png")
    digest = folder_digest(root)
    moved = root.rename(tmp_path / "there")
    assert folder_digest(moved) == digest
    with (moved / "train/cat/1.png").open("ab") as file:
        file.write(b"one byte more")
    longer = folder_digest(moved)
    (moved / "train/cat/1.png").rename(moved / "train/cat/2.png")
    assert len({digest, longer, folder_digest(moved)}) == 3


class Petals:
    def __init__(self, count):
        self._count = count

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        raise AssertionError("no image is asked for")


def test_a_users_source_is_told_by_its_description_and_length():
    digests = {
        split_digest(StreamedSplit(Petals(count)), text)
        for count, text in [(3, "a"), (4, "a"), (3, "b"), (3, "a")]
    }
    assert len(digests) == 3
