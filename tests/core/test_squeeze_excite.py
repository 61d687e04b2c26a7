"""Squeeze-excite: Hu et al. 2017, arXiv:1709.01507."""

import pytest
import torch
import torchvision

from resnet_core.methods.section import MethodsConfig
from resnet_core.methods.squeeze_excite import SqueezeExcite
from resnet_core.models.factory import ResNetClassifier, build_architecture, build_model
from resnet_core.models.family import ModelConfig, ModelName


def gated(name: ModelName, reduction: int) -> ResNetClassifier:
    methods = MethodsConfig.model_validate({"squeeze_excite": {"reduction": reduction}})
    with torch.device("meta"):
        return build_architecture(ModelConfig(name=name), methods)


def test_the_gate_computes_what_torchvisions_does():
    torch.manual_seed(0)
    theirs = torchvision.ops.SqueezeExcitation(input_channels=32, squeeze_channels=8)
    ours = SqueezeExcite(32, reduction=4)
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 32, 5, 7)
    # A mean and an adaptive pool add up in another order: a few units of float32's last place.
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-5, atol=1e-6)


def test_gates_begin_around_one_half():
    torch.manual_seed(0)
    gate = SqueezeExcite(256, reduction=16)
    images = torch.rand(8, 256, 4, 4)
    gates = gate(images) / images
    # The gate's input has mean 0 over channels, so about as many lie above 0.5 as below.
    assert gates.mean().item() == pytest.approx(0.5, abs=0.1)


def test_se_resnet_50_has_the_parameters_of_the_papers_formula():
    added = sum(p.numel() for p in gated("resnet50", 16).parameters()) - 25_557_032
    stages = [(3, 256), (4, 512), (6, 1024), (3, 2048)]
    # Section 6.1: 2/r * sum over stages of N_s C_s^2, about 2.5 million; the paper leaves out
    # the biases, C/r + C in each block.
    weights = sum(num_blocks * channels**2 for num_blocks, channels in stages) * 2 // 16
    biases = sum(num_blocks * (channels // 16 + channels) for num_blocks, channels in stages)
    assert weights == 2_514_944
    assert added == weights + biases


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet_9", "resnet_20"])
def test_every_block_of_every_kind_has_a_gate(name):
    model = gated(name, 4)
    assert all(isinstance(block.se, SqueezeExcite) for block in model.blocks)


def test_the_gate_closes_the_residual_branch_before_the_addition():
    methods = MethodsConfig.model_validate({"squeeze_excite": {}})
    block = build_model(ModelConfig(name="resnet_20"), methods).blocks[0].eval()
    with torch.no_grad():
        block.get_parameter("se.fc2.bias").fill_(-200)
    images = torch.randn(2, 16, 8, 8)
    assert torch.equal(block(images), images.relu())


def test_a_reduction_that_leaves_no_channel_is_refused_with_the_largest():
    with pytest.raises(ValueError, match="at most the 16 channels of the narrowest block, got 17"):
        gated("resnet_20", 17)
