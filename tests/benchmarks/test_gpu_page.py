"""What the page on one GPU counts by hand."""

import pytest
import torch
from torch import nn

from benchmarks.gpu_page import ADDED, BYTES_PER_IMAGE, CONVOLVED
from resnet_core import create_resnet


def test_the_numbers_that_resnet50_puts_out_are_those_counted():
    with torch.device("meta"):
        model = create_resnet("resnet50", num_classes=1000).eval()
    convolved, added = [], []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, __, out: convolved.append(out.numel()))
    for block in model.blocks:
        block.register_forward_hook(lambda _, __, out: added.append(out.numel()))
    model(torch.empty(1, 3, 224, 224, device="meta"))
    assert (len(convolved), len(added)) == (53, 16)
    assert sum(convolved) == pytest.approx(CONVOLVED, rel=1e-3)
    assert sum(added) == pytest.approx(ADDED, rel=1e-3)


def test_a_training_step_moves_about_a_third_and_half_a_gigabyte_an_image():
    # 335 and 473 MB are what others have counted.
    assert BYTES_PER_IMAGE["fused"] == pytest.approx(335e6, rel=0.02)
    assert BYTES_PER_IMAGE["eager"] == pytest.approx(473e6, rel=0.02)
