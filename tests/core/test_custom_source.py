import io
from typing import Any

import pytest
import torch
from PIL import Image

from resnet_core.data.custom import load_custom
from resnet_core.data.dataset import BadImage, BadSample, StreamedSplit
from resnet_core.data.section import CustomConfig, DataConfig
from resnet_core.data.sources import load_data

HERE = "tests.core.test_custom_source"


class Flowers:
    """Every sample is ``sample``, or, if it is an error, raises it."""

    num_classes = 3

    def __init__(self, sample: Any = None, num: int = 2) -> None:
        self._samples = Samples(sample, num)

    def split(self, name: str) -> Any:
        assert name in ("train", "validation", "test")
        return self._samples


class Samples:
    def __init__(self, sample: Any, num: int) -> None:
        self._sample = sample or (Image.new("RGB", (5, 4)), 1)
        self._num = num

    def __len__(self) -> int:
        return self._num

    def __getitem__(self, index: int) -> Any:
        if isinstance(self._sample, Exception):
            raise self._sample
        return self._sample


class NoNumber:
    def split(self, name: str) -> Any: ...


class NoSplit:
    num_classes = 3


class SplitsAreIterators:
    num_classes = 3

    def split(self, name: str) -> Any:
        return iter([])


def load(name: str, **options: Any):
    return load_custom(CustomConfig(entry=f"{HERE}:{name}", options=options))


def first_of(sample: Any) -> tuple[Any, int]:
    _, (train, *_) = load("Flowers", sample=sample)
    return train[0]


def test_a_users_class_is_loaded_by_its_name():
    config = DataConfig.model_validate(
        {"custom": {"entry": f"{HERE}:Flowers", "options": {"num": 7}, "on_bad_image": "skip"}}
    )
    data = load_data(config, 3, torch.device("cpu"))
    for name in ("train", "validation", "test"):
        split = data.split(name)
        assert isinstance(split, StreamedSplit)
        assert (len(split), split.on_bad_image) == (7, "skip")


def test_another_number_of_classes_than_the_models_is_refused_with_both():
    config = DataConfig.model_validate({"custom": {"entry": f"{HERE}:Flowers"}})
    with pytest.raises(ValueError, match=r"data\.custom has 3 classes, model\.num_classes is 4"):
        load_data(config, 4, torch.device("cpu"))


@pytest.mark.parametrize("image", [
    Image.new("RGB", (5, 4)), torch.zeros(3, 4, 5, dtype=torch.uint8),
], ids=["PIL", "tensor"])  # fmt: skip
def test_an_image_is_of_pil_or_a_tensor(image):
    found, label = first_of((image, 2))
    assert type(found) is type(image)
    assert label == 2


def test_an_image_of_another_mode_becomes_rgb():
    assert first_of((Image.new("L", (5, 4)), 0))[0].mode == "RGB"


@pytest.mark.parametrize("entry", ["no_such_module:A", "tests.core.no_such_module:A"])
def test_a_module_that_is_not_there_is_named(entry):
    with pytest.raises(ModuleNotFoundError, match=f"{entry}: there is no module .*PYTHONPATH"):
        load_custom(CustomConfig(entry=entry))


def test_what_a_users_module_fails_to_import_is_not_blamed_on_the_entry(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'no_such_library'$"):
        load_custom(CustomConfig(entry="needs_more:A"))


@pytest.mark.parametrize(("name", "error", "match"), [
    ("Missing", ImportError, "has no class Missing"),
    ("NoNumber", ValueError, "NoNumber needs num_classes, an int from 1, got None"),
    ("NoSplit", ValueError, r"NoSplit needs a method split\(name\)"),
    ("SplitsAreIterators", ValueError, r'split\("train"\) needs __len__ and __getitem__, got'),
])  # fmt: skip
def test_a_class_that_breaks_the_contract_is_refused(name, error, match):
    with pytest.raises(error, match=match):
        load(name)


def test_options_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"do not fit .*unexpected keyword argument 'path'"):
        load("Flowers", path="/data")


def test_a_split_without_images_is_refused():
    with pytest.raises(ValueError, match=r'split\("train"\) holds no image'):
        load("Flowers", num=0)


@pytest.mark.parametrize(("sample", "match"), [
    (42, "must be an image and its label, got int"),
    ((Image.new("RGB", (5, 4)), -1), r"0 to num_classes - 1 = 2, got -1"),
    ((Image.new("RGB", (5, 4)), 3), r"0 to num_classes - 1 = 2, got 3"),
    ((Image.new("RGB", (5, 4)), 1.0), "a label is an int, got float"),
    (("flower.jpg", 1), "an image is a PIL.Image.Image or a uint8 tensor .*, got str"),
    ((torch.zeros(3, 4, 5), 1), r"got a float32 tensor \(3, 4, 5\)"),
    ((torch.zeros(4, 5, 3, dtype=torch.uint8), 1), r"got a uint8 tensor \(4, 5, 3\)"),
    ((torch.zeros(3, 0, 5, dtype=torch.uint8), 1), r"got a uint8 tensor \(3, 0, 5\)"),
], ids=["no pair", "below", "above", "float", "path", "dtype", "shape", "empty"])  # fmt: skip
def test_a_sample_that_breaks_the_contract_is_refused_with_split_and_index(sample, match):
    with pytest.raises(BadSample, match=rf"Flowers train\[0\]: .*{match}"):
        first_of(sample)


def truncated() -> Image.Image:
    buffer = io.BytesIO()
    Image.effect_noise((50, 50), 60).save(buffer, "PNG")
    return Image.open(io.BytesIO(buffer.getvalue()[:500]))


@pytest.mark.parametrize("sample", [
    lambda: OSError("image file is truncated"),  # as PIL does when the user's code decodes
    lambda: (truncated(), 1),
], ids=["raised", "not decoded yet"])  # fmt: skip
def test_an_image_that_pil_cannot_decode_is_bad_and_named_by_split_and_index(sample):
    with pytest.raises(BadImage, match=r"Flowers train\[0\]: .*truncated") as caught:
        first_of(sample())
    assert caught.value.name == f"{HERE}:Flowers train[0]"


@pytest.mark.parametrize(
    "error", [FileNotFoundError(2, "No such file"), KeyError("petals")], ids=str
)
def test_any_other_error_of_a_users_code_stays_what_it_is(error):
    with pytest.raises(type(error)) as caught:
        first_of(error)
    assert caught.value is error
