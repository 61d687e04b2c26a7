import math

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from resnet_core import create_resnet
from resnet_core.data.class_names import class_names
from resnet_core.data.section import DataConfig
from resnet_core.models.classifier import ResNetClassifier
from resnet_core.predictor import Predictor, probabilities_of
from tests.core.tiny_recipe import tiny_recipe

MEAN, STD = [120.0, 110.0, 100.0], [60.0, 50.0, 40.0]


def network() -> ResNetClassifier:
    """Of `tiny_recipe`, with weights and batch-norm statistics that are not the first ones."""
    torch.manual_seed(1)
    model = create_resnet("resnet18", num_classes=4)
    model.train()
    model(torch.randn(16, 3, 16, 16))
    return model.eval()


def predictor(model: ResNetClassifier, *, streamed: bool = False, **changes) -> Predictor:
    recipe = tiny_recipe(**changes)
    state = model.state_dict()
    return Predictor(recipe, state, mean=MEAN, std=STD, streamed=streamed, device="cpu")


def raw_images(num: int, height: int = 8, width: int = 8) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (num, height, width, 3), dtype=np.uint8)


@torch.no_grad()
def by_hand(model: ResNetClassifier, images: torch.Tensor) -> torch.Tensor:
    """Of uint8 (N, 3, H, W)."""
    normalised = v2.Normalize(MEAN, STD)(images.float())
    return torch.softmax(model(normalised), dim=1)


def test_images_in_the_size_they_were_trained_in_are_normalised_and_classified():
    model, images = network(), raw_images(5)
    expected = by_hand(model, torch.from_numpy(images).permute(0, 3, 1, 2))
    found = predictor(model).probabilities(images)
    # Another memory layout adds up in another order.
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_streamed_images_are_resized_and_cropped_as_torchvision_does_it():
    model, images = network(), raw_images(3, 40, 25)
    resolution = {"train_px": 16, "evaluation_px": 14, "crop_ratio": 0.875}
    steps = v2.Compose([v2.PILToTensor(), v2.Resize(16, antialias=True), v2.CenterCrop(14)])
    cropped = torch.stack([steps(Image.fromarray(image)) for image in images])
    found = predictor(model, streamed=True, methods={"resolution": resolution})
    torch.testing.assert_close(
        found.probabilities(images), by_hand(model, cropped), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("num", [1, 2, 6])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_image_has_the_same_probabilities_in_every_batch(num, streamed):
    images = raw_images(7, 20, 20)
    one = predictor(network(), streamed=streamed, eval_batch_size=4,
                    methods={"resolution": {"train_px": 16, "evaluation_px": 16}})  # fmt: skip
    together = one.probabilities(images)
    torch.testing.assert_close(one.probabilities(images[:num]), together[:num], rtol=0, atol=1e-6)


@pytest.mark.parametrize("streamed", [False, True])
def test_no_image_has_no_row(streamed):
    found = predictor(network(), streamed=streamed).probabilities(raw_images(0))
    assert found.shape == (0, 4)


@pytest.mark.parametrize(
    "images",
    [np.zeros((1, 8, 8, 3)), np.zeros((8, 8, 3), np.uint8), np.zeros((1, 3, 8, 8), np.uint8)],
    ids=["float", "one image", "channels first"],
)
def test_anything_but_a_batch_of_raw_images_is_refused(images):
    with pytest.raises(ValueError, match=r"images are uint8 \(N, H, W, 3\), got"):
        predictor(network()).probabilities(images)


def test_with_binary_cross_entropy_each_class_has_a_probability_of_its_own():
    logits = torch.tensor([[0.0, math.log(3.0)]])
    found = probabilities_of(logits, "binary_cross_entropy_with_logits")
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.75]]))
    found = probabilities_of(logits, "soft_cross_entropy")
    torch.testing.assert_close(found, torch.tensor([[0.25, 0.75]]))


def test_classes_of_a_folder_are_called_as_its_folders_in_the_order_of_their_labels(tmp_path):
    for name in ("wolf", "ant", "bee"):
        (tmp_path / "train" / name).mkdir(parents=True)
    config = DataConfig.model_validate({"image_folder": {"path": str(tmp_path)}})
    assert class_names(config) == ["ant", "bee", "wolf"]
    assert class_names(DataConfig.model_validate({"fake": {}})) is None
