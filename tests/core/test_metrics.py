import math

import pytest
import torch

from resnet_core.loss import binary_cross_entropy_with_logits, soft_cross_entropy
from resnet_core.metrics import ClassificationMetrics

CPU = torch.device("cpu")


def test_values_are_those_computed_by_hand():
    metrics = ClassificationMetrics(soft_cross_entropy, CPU)
    # Probabilities in tenths; the labels' are 4/10 (first), 2/10 (third) and 0.5/10 (sixth).
    rows = [[1, 4, 2, 1, 1, 1], [3, 1, 2, 2, 1, 1], [2, 3, 2, 1, 1.5, 0.5]]
    metrics.update(torch.tensor(rows).log(), torch.tensor([1, 2, 5]))
    assert metrics.compute() == pytest.approx(
        {
            "loss": -(math.log(0.4) + math.log(0.2) + math.log(0.05)) / 3,
            "cross_entropy": -(math.log(0.4) + math.log(0.2) + math.log(0.05)) / 3,
            "accuracy": 1 / 3,
            "top5_accuracy": 2 / 3,
            "num_images": 3,
        },
        rel=1e-6,  # float32 logits
    )


@pytest.mark.parametrize("loss", [soft_cross_entropy, binary_cross_entropy_with_logits])
def test_unequal_batches_give_what_one_batch_gives(loss):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(101, 10, generator=generator)
    labels = torch.randint(10, (101,), generator=generator)
    in_parts = ClassificationMetrics(loss, CPU)
    for begin, end in [(0, 64), (64, 65), (65, 98), (98, 101)]:
        in_parts.update(logits[begin:end], labels[begin:end])
    values = in_parts.compute()
    top5 = logits.argsort(dim=1, descending=True)[:, :5]
    assert values["accuracy"] == (logits.argmax(dim=1) == labels).sum().item() / 101
    assert values["top5_accuracy"] == (top5 == labels[:, None]).sum().item() / 101
    assert values["num_images"] == 101
    # Batches' losses are float32 means: 1e-6 is a few of its roundings.
    assert values["loss"] == pytest.approx(loss(logits, labels).item(), rel=1e-6)


@pytest.mark.parametrize("num_classes", [2, 4, 5])
def test_among_five_classes_or_fewer_the_top_five_always_hit(num_classes):
    metrics = ClassificationMetrics(soft_cross_entropy, CPU)
    labels = torch.arange(num_classes)
    # Each image's own class is the least likely one.
    metrics.update(-10 * torch.eye(num_classes), labels)
    values = metrics.compute()
    assert (values["accuracy"], values["top5_accuracy"]) == (0, 1)


def test_logits_in_half_precision_are_summed_in_full():
    metrics = ClassificationMetrics(soft_cross_entropy, CPU)
    for _ in range(3):
        metrics.update(torch.zeros(1, 3, dtype=torch.bfloat16), torch.tensor([0]))
    # ln 3 in bfloat16 is 1.1016: wrong in the third digit.
    assert metrics.compute()["loss"] == pytest.approx(math.log(3), rel=1e-6)


def test_a_mean_over_nothing_is_refused():
    with pytest.raises(ValueError, match="no sample was added"):
        ClassificationMetrics(soft_cross_entropy, CPU).compute()


def test_asking_twice_gives_the_same_and_more_batches_may_follow():
    metrics = ClassificationMetrics(soft_cross_entropy, CPU)
    metrics.update(torch.eye(3), torch.tensor([0, 1, 0]))
    assert metrics.compute() == metrics.compute()
    metrics.update(torch.eye(3)[:1], torch.tensor([0]))
    assert metrics.compute()["accuracy"] == 3 / 4


def test_kept_hits_are_those_of_the_largest_logit_in_order():
    metrics = ClassificationMetrics(soft_cross_entropy, CPU)
    metrics.keep_correct()
    for rows, labels in ([[1, 9, 3], [9, 1, 2]], [1, 1]), ([[1, 2, 9]], [2]):
        metrics.update(torch.tensor(rows, dtype=torch.float32), torch.tensor(labels))
    assert metrics.correct().tolist() == [True, False, True]


def test_hits_of_nothing_are_none():
    metrics = ClassificationMetrics(soft_cross_entropy, CPU)
    metrics.keep_correct()
    assert metrics.correct().shape == (0,)
    assert metrics.correct().dtype == torch.bool


def test_hits_that_were_not_kept_are_refused():
    metrics = ClassificationMetrics(soft_cross_entropy, CPU)
    metrics.update(torch.eye(3), torch.tensor([0, 1, 0]))
    with pytest.raises(ValueError, match=r"call keep_correct\(\) before the first batch"):
        metrics.correct()
