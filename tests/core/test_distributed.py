from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.multiprocessing.spawn import spawn

from resnet_core import Recipe, fit
from resnet_core.data.augment import normalise
from resnet_core.data.dataset import Split
from resnet_core.data.sources import load_data
from resnet_core.models.factory import build_model
from tests.core.plain_loop import NEAR, PlainTraining, train_by_hand
from tests.core.tiny_recipe import full_recipe, plain_recipe, tiny_recipe
from tests.core.two_workers import work

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory) -> list[dict[str, Any]]:
    """What two gloo processes on this machine leave behind."""
    folder = tmp_path_factory.mktemp("ranks")
    spawn(work, args=(folder,), nprocs=2)
    found = []
    for rank in range(2):
        file = folder / f"rank{rank}.pt"
        found.append(torch.load(file))
        file.unlink()  # 90 MB
    return found


def build_start(recipe: Recipe) -> dict[str, torch.Tensor]:
    """The weights that a recipe begins with."""
    torch.manual_seed(recipe.seed)
    return dict(build_model(recipe.model, recipe.methods).named_parameters())


@pytest.fixture(scope="module")
def trusted(one_thread) -> PlainTraining:
    return train_by_hand(plain_recipe(), num_workers=2)


def test_workers_end_with_the_same_bits(ranks):
    first, second = (rank["final state"] for rank in ranks)
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_workers_get_the_same_results(ranks):
    assert ranks[0]["results"] == ranks[1]["results"]
    assert [result["step"] for result in ranks[0]["results"]] == [3, 6, 9]


def test_two_workers_take_the_steps_of_one_loop_that_averages_their_gradients(ranks, trusted):
    assert trusted.distance(ranks[0]["state"]) < NEAR


def test_two_workers_do_not_train_as_one_because_each_normalises_its_own_half(ranks):
    assert train_by_hand(plain_recipe(), num_workers=1).distance(ranks[0]["state"]) > 0.1


def test_the_loss_is_the_mean_over_workers(ranks, trusted):
    expected = sum(trusted.step_losses) / 3
    # The losses are float32, with roundings of 1e-7.
    assert ranks[0]["epoch"]["train_loss"] == pytest.approx(expected, rel=1e-6)


def test_running_statistics_are_the_mean_over_workers(ranks, trusted):
    expected = trusted.running_statistics()
    for rank in ranks:
        for name, mean in expected.items():
            torch.testing.assert_close(rank["state"][name], mean, rtol=1e-5, atol=1e-5)
    own = trusted.models[0].state_dict()
    # One worker's own are far enough from the mean for the tolerance to tell.
    assert max((own[name] - mean).abs().max() for name, mean in expected.items()) > 0.01


def test_with_every_method_two_workers_train_as_one_process_with_two_micro_batches(ranks):
    # Batch norm sees 8 images in both, and both draw alike.
    start = build_start(full_recipe())
    *_, one = fit(full_recipe(micro_batch_size=8))
    alone = dict(one._training.model.named_parameters())
    two = ranks[0]["every method"]
    moved = sum((alone[name] - start[name]).norm() ** 2 for name in alone) ** 0.5
    apart = sum((alone[name] - two[name]).norm() ** 2 for name in alone) ** 0.5
    # Sums of float32 in another order, and now and then a ReLU next to 0 that opens in one only.
    assert apart / moved < 1e-2


def test_workers_resumed_from_within_an_epoch_end_with_the_same_bits(ranks):
    for rank in ranks:
        expected, found = rank["every method"], rank["every method resumed"]
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
        assert rank["losses resumed"] == rank["losses"]


def test_validation_counts_each_of_an_odd_number_of_images_once(ranks):
    recipe = plain_recipe()
    assert recipe.data is not None
    data = load_data(recipe.data, recipe.model.num_classes, torch.device("cpu"))
    assert isinstance(data.validation, Split)
    model = build_model(recipe.model).eval()
    model.load_state_dict(ranks[0]["state"])
    with torch.no_grad():
        logits = model(normalise(data.validation.images, data.mean, data.std, channels_last=True))
    labels = data.validation.labels
    for rank in ranks:
        found = rank["validation"]
        assert found["num_images"] == 25
        assert found["accuracy"] == (logits.argmax(dim=1) == labels).sum().item() / 25
        # Float32 means of 12 and 13 images against one of 25.
        assert found["loss"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
        assert rank["epoch"]["val_loss"] == found["loss"]


def test_every_worker_gets_the_hits_of_all_images_in_order(ranks):
    recipe = tiny_recipe()
    assert recipe.data is not None
    data = load_data(recipe.data, recipe.model.num_classes, torch.device("cpu"))
    assert isinstance(data.test, Split)
    model = build_model(recipe.model).eval()
    model.load_state_dict(ranks[0]["final state"])
    with torch.no_grad():
        logits = model(normalise(data.test.images, data.mean, data.std, channels_last=True))
    expected = (logits.argmax(dim=1) == data.test.labels).tolist()
    assert [rank["correct"].tolist() for rank in ranks] == [expected, expected]
    assert len(expected) == 25
    assert 0 < sum(expected) < 25


def test_metrics_may_be_asked_for_twice(ranks):
    # Two workers with 4 images each, all right.
    for rank in ranks:
        first, second = rank["asked twice"]
        assert (first["num_images"], first["accuracy"]) == (8, 1)
        assert second == first


def test_a_batch_that_does_not_split_is_refused_with_the_nearest_that_does(ranks):
    message = "train_batch_size 15 does not split over 2 workers; the nearest that does: 14 and 16"
    assert [rank["odd batch"] for rank in ranks] == [message, message]


def test_a_loss_that_is_not_finite_ends_the_training_of_all_workers_at_the_same_step(ranks):
    first, second = (rank["not finite"] for rank in ranks)
    assert first == second
    assert first[0] == 1
