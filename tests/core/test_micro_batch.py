from typing import Any

import pytest
import torch
from torch import nn

from resnet_core import fit
from resnet_core.micro_batch import MicroBatchTooLarge
from resnet_core.models.classifier import ResNetClassifier
from resnet_core.problems import CannotTrain
from tests.core.plain_loop import NEAR, train_by_hand
from tests.core.tiny_recipe import plain_recipe, tiny_recipe

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def room_for(monkeypatch):
    """A memory that holds so many images and no more."""

    def limit(num_images: int) -> list[int]:
        seen: list[int] = []
        forward = ResNetClassifier.forward

        def limited(model: nn.Module, images: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
            if model.training:
                seen.append(len(images))
                if len(images) > num_images:
                    raise torch.OutOfMemoryError("made up: out of memory")
            return forward(model, images, *rest)  # pyright: ignore[reportArgumentType]

        monkeypatch.setattr(ResNetClassifier, "forward", limited)
        return seen

    return limit


def test_micro_batches_of_8_train_as_two_workers_with_8_images_each():
    # Both normalise 8 images at a time and average the gradients of two halves.
    (result,) = fit(plain_recipe(micro_batch_size=8))
    trusted = train_by_hand(plain_recipe(), num_workers=2)
    assert trusted.distance(dict(result.model.state_dict())) < NEAR
    assert result.train_loss == pytest.approx(sum(trusted.step_losses) / 3, rel=1e-6)


def test_without_batch_norm_micro_batches_change_nothing_but_rounding(monkeypatch):
    # Batch norm in evaluation mode is a constant affine map, so the split of a batch cannot matter.
    monkeypatch.setattr(
        nn.BatchNorm2d, "train", lambda self, mode=True: nn.Module.train(self, mode=False)
    )
    (whole,) = fit(plain_recipe())
    (split,) = fit(plain_recipe(micro_batch_size=4))
    for name, weight in whole.model.named_parameters():
        # Sums of 16 float32 products in another order, over 3 steps.
        torch.testing.assert_close(split.model.get_parameter(name), weight, rtol=1e-4, atol=1e-5)


def test_a_micro_batch_larger_than_the_batch_is_the_batch():
    (one,) = fit(plain_recipe())
    (other,) = fit(plain_recipe(micro_batch_size=100))
    assert torch.equal(one.model.fc.weight, other.model.fc.weight)


def test_a_micro_batch_that_does_not_divide_is_refused_with_the_nearest_batch_that_does():
    with pytest.raises(
        CannotTrain,
        match="train_batch_size 16 does not split over 1 worker with micro-batches of 5; "
        "the nearest that does: 15 and 20",
    ):
        next(fit(tiny_recipe(micro_batch_size=5)))


def test_auto_halves_until_the_memory_holds_it_and_says_so(room_for):
    seen = room_for(5)
    with pytest.warns(UserWarning, match="micro_batch_size is 4, so batch norm sees 4 images"):
        (result,) = fit(plain_recipe(micro_batch_size="auto"))
    assert seen[:3] == [16, 8, 4]
    assert set(seen[3:]) == {4}
    assert result.step == 3


def test_auto_trains_as_if_the_size_had_been_written(room_for):
    (written,) = fit(plain_recipe(micro_batch_size=4))
    room_for(4)
    with pytest.warns(UserWarning, match="micro_batch_size is 4"):
        (found,) = fit(plain_recipe(micro_batch_size="auto"))
    for name, value in written.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], value), name


def test_auto_takes_the_whole_share_where_it_fits():
    (auto,) = fit(plain_recipe(micro_batch_size="auto"))
    (whole,) = fit(plain_recipe())
    for name, value in whole.model.state_dict().items():
        assert torch.equal(auto.model.state_dict()[name], value), name


@pytest.mark.parametrize(("limit", "taken"), [(16, 16), (15, 8), (8, 8), (5, 4), (2, 2)])
def test_a_limit_caps_auto_at_the_largest_divisor_below_it(room_for, limit, taken):
    seen = room_for(16)
    next(fit(plain_recipe(micro_batch_size="auto"), micro_batch_limit=limit))
    assert set(seen) == {taken}


def test_a_step_that_runs_out_of_memory_says_which_micro_batch_had_fit(monkeypatch):
    tried: list[int] = []
    forward = ResNetClassifier.forward

    def fits_when_tried(model: nn.Module, images: torch.Tensor, *rest: torch.Tensor) -> Any:
        tried.append(len(images))
        if len(tried) > 1:
            raise torch.OutOfMemoryError("made up: out of memory")
        return forward(model, images, *rest)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(ResNetClassifier, "forward", fits_when_tried)
    with pytest.raises(MicroBatchTooLarge, match="with the 8 images at a time") as caught:
        next(fit(plain_recipe(micro_batch_size="auto"), micro_batch_limit=8))
    assert caught.value.micro_batch_size == 8


def test_a_written_micro_batch_that_does_not_fit_is_plainly_out_of_memory(room_for):
    room_for(4)
    with pytest.raises(torch.OutOfMemoryError) as caught:
        next(fit(plain_recipe(micro_batch_size=8)))
    assert not isinstance(caught.value, MicroBatchTooLarge)


def test_auto_gives_up_when_not_one_image_fits(room_for):
    room_for(0)
    with pytest.raises(torch.OutOfMemoryError, match="not even one image"):
        next(fit(plain_recipe(micro_batch_size="auto")))
