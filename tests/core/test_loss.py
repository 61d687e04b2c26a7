import math

import pytest
import torch

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
