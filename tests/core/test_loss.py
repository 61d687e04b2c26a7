import math
import re

import pytest
import torch
import torch.nn.functional as F

from resnet_core.loss import LOSSES, binary_cross_entropy_with_logits, soft_cross_entropy

# ln(1), ln(2), ln(5): a softmax of 1/8, 2/8, 5/8.
ONE_TWO_FIVE = torch.tensor([[1.0, 2.0, 5.0]]).log()


def test_cross_entropy_is_minus_the_log_of_the_labels_probability():
    logits = ONE_TWO_FIVE.repeat(2, 1)
    loss = soft_cross_entropy(logits, torch.tensor([2, 0]))
    assert loss.item() == pytest.approx((-math.log(5 / 8) - math.log(1 / 8)) / 2, rel=1e-6)


def test_cross_entropy_weighs_the_classes_by_their_target_probability():
    loss = soft_cross_entropy(ONE_TWO_FIVE, torch.tensor([[0.5, 0.5, 0.0]]))
    assert loss.item() == pytest.approx(-0.5 * math.log(1 / 8) - 0.5 * math.log(2 / 8), rel=1e-6)


def test_binary_cross_entropy_sums_over_classes():
    # sigmoid(ln 3) = 3/4: -ln(3/4) for the label, -ln(1/4) for each of the two others.
    logits = torch.full((1, 3), math.log(3))
    loss = binary_cross_entropy_with_logits(logits, torch.tensor([1]))
    assert loss.item() == pytest.approx(-math.log(3 / 4) - 2 * math.log(1 / 4), rel=1e-6)


def test_binary_cross_entropy_averages_over_the_batch():
    # All-zero logits cost ln 2 per class, whatever the label: 4 ln 2 per image.
    loss = binary_cross_entropy_with_logits(torch.zeros(7, 4), torch.arange(7) % 4)
    assert loss.item() == pytest.approx(4 * math.log(2), rel=1e-6)


def test_binary_cross_entropy_takes_soft_targets():
    # -(0.3 ln(3/4) + 0.7 ln(1/4)) for the one class that there is.
    loss = binary_cross_entropy_with_logits(torch.tensor([[math.log(3)]]), torch.tensor([[0.3]]))
    assert loss.item() == pytest.approx(-0.3 * math.log(3 / 4) - 0.7 * math.log(1 / 4), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_indices_and_one_hot_rows_cost_the_same(name):
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    of_rows = LOSSES[name](logits, torch.eye(5)[labels])
    # Float32 sums of 30 terms in two orders.
    torch.testing.assert_close(LOSSES[name](logits, labels), of_rows, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_the_gradients_source(name):
    logits = torch.zeros(2, 4, requires_grad=True)
    LOSSES[name](logits, torch.tensor([1, 3])).backward()
    assert logits.grad is not None
    # Only a step towards the label lowers the loss.
    assert (logits.grad < 0).nonzero().tolist() == [[0, 1], [1, 3]]


# What class weights 1, 2, 4 make of -ln of the softmax of ONE_TWO_FIVE, 1/8, 2/8, 5/8.
CLASS_WEIGHTS = torch.tensor([1.0, 2.0, 4.0])
FIRST, SECOND, THIRD = -math.log(1 / 8), -2 * math.log(2 / 8), -4 * math.log(5 / 8)


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [
        ("none", [THIRD, FIRST]),
        ("sum", THIRD + FIRST),
        ("mean", (THIRD + FIRST) / (4 + 1)),  # torch's: over the weights, not the images
    ],
)
def test_class_weights_multiply_the_cross_entropy_of_their_labels(reduction, expected):
    loss = soft_cross_entropy(
        ONE_TWO_FIVE.repeat(2, 1),
        torch.tensor([2, 0]),
        weight=CLASS_WEIGHTS,
        reduction=reduction,
    )
    assert loss.tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [
        ("none", [FIRST / 2 + SECOND / 2, THIRD]),
        ("sum", FIRST / 2 + SECOND / 2 + THIRD),
        ("mean", (FIRST / 2 + SECOND / 2 + THIRD) / 2),  # over the images
    ],
)
def test_class_weights_multiply_the_cross_entropy_of_probabilities(reduction, expected):
    loss = soft_cross_entropy(
        ONE_TWO_FIVE.repeat(2, 1),
        torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]),
        weight=CLASS_WEIGHTS,
        reduction=reduction,
    )
    assert loss.tolist() == pytest.approx(expected, rel=1e-6)


# sigmoid(ln 3) = 3/4: -ln(3/4) where the target is 1, -ln(1/4) where it is 0.
HIT, MISS = -math.log(3 / 4), -math.log(1 / 4)


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [
        ("none", [HIT + 2 * MISS + 4 * MISS, MISS + 2 * MISS + 4 * HIT]),
        ("sum", 5 * HIT + 9 * MISS),
        ("mean", (5 * HIT + 9 * MISS) / 2),
    ],
)
def test_class_weights_multiply_the_binary_cross_entropy_of_their_classes(reduction, expected):
    loss = binary_cross_entropy_with_logits(
        torch.full((2, 3), math.log(3)),
        torch.tensor([0, 2]),
        weight=CLASS_WEIGHTS,
        reduction=reduction,
    )
    assert loss.tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_the_mean_is_the_sum_over_the_images(name):
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    each, total, mean = (
        LOSSES[name](logits, labels, reduction=reduction) for reduction in ("none", "sum", "mean")
    )
    assert each.shape == (6,)
    # Float32 sums of 6 terms in two orders.
    torch.testing.assert_close(each.sum(), total, rtol=1e-6, atol=0)
    torch.testing.assert_close(total / 6, mean, rtol=1e-6, atol=0)


@pytest.mark.parametrize("reduction", ["sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_indices_and_one_hot_rows_cost_the_same_with_class_weights(name, reduction):
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    settings = {"weight": torch.tensor([1.0, 0.5, 2.0, 3.0, 0.1]), "reduction": reduction}
    of_rows = LOSSES[name](logits, torch.eye(5)[labels], **settings)
    torch.testing.assert_close(LOSSES[name](logits, labels, **settings), of_rows, rtol=1e-6, atol=0)


def test_binary_cross_entropy_is_torchs_over_all_entries_times_the_number_of_classes():
    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(7, 5, generator=generator), torch.rand(7, 5, generator=generator)
    trusted = 5 * F.binary_cross_entropy_with_logits(logits, targets)
    loss = binary_cross_entropy_with_logits(logits, targets)
    torch.testing.assert_close(loss, trusted, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    "targets",
    [
        torch.zeros(3, dtype=torch.long),
        torch.zeros(2, 1, dtype=torch.long),
        torch.zeros(2, 4, dtype=torch.long),
        torch.zeros(2),
        torch.zeros(2, 5),
        torch.zeros(4, 2),
    ],
    ids=lambda targets: f"{targets.dtype} {tuple(targets.shape)}",
)
@pytest.mark.parametrize("name", LOSSES)
def test_targets_of_another_shape_are_refused(name, targets):
    # torch alone would broadcast some of them.
    shape = re.escape(f"got {targets.dtype} of shape {tuple(targets.shape)}")
    with pytest.raises(ValueError, match=rf"logits of shape \(2, 4\) take .*, {shape}"):
        LOSSES[name](torch.zeros(2, 4), targets)
