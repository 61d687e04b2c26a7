import pytest
import torch
import torch.nn.functional as F

from resnet_core.methods.label_smoothing import smooth_labels


def test_the_label_keeps_what_the_smoothing_does_not_spread_over_all_classes():
    # 1 - 0.1 + 0.1 / 4 for the label, 0.1 / 4 for the others.
    rows = smooth_labels(torch.tensor([2, 0]), num_classes=4, smoothing=0.1)
    expected = torch.tensor([[0.025, 0.025, 0.925, 0.025], [0.925, 0.025, 0.025, 0.025]])
    torch.testing.assert_close(rows, expected, rtol=0, atol=1e-7)


def test_no_smoothing_gives_one_hot_rows():
    rows = smooth_labels(torch.tensor([2, 0]), num_classes=3, smoothing=0.0)
    assert rows.dtype == torch.float32
    assert rows.tolist() == [[0, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize("num_classes", [2, 10, 1000])
@pytest.mark.parametrize("smoothing", [0.05, 0.1, 0.7])
def test_a_row_sums_to_one(smoothing, num_classes):
    rows = smooth_labels(torch.arange(2), num_classes=num_classes, smoothing=smoothing)
    # A thousand float32 roundings of 6e-8 of the summands and of their sum.
    torch.testing.assert_close(rows.sum(dim=1), torch.ones(2), rtol=0, atol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_cross_entropy_of_smoothed_labels_is_torchs_with_label_smoothing(smoothing):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(16, 10, generator=generator)
    labels = torch.randint(10, (16,), generator=generator)
    rows = smooth_labels(labels, num_classes=10, smoothing=smoothing)
    trusted = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    # Float32 sums of 160 terms in two orders.
    torch.testing.assert_close(F.cross_entropy(logits, rows), trusted, rtol=1e-6, atol=0)
