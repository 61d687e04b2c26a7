"""The residual blocks: torchvision's numbers, the places for methods, and recomputation."""

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

from resnet_core import create_resnet
from resnet_core.methods.section import MethodsConfig
from resnet_core.models.factory import ResNetClassifier, build_model
from resnet_core.models.family import FAMILY, ModelConfig, ModelName

pytestmark = pytest.mark.usefixtures("one_thread")
ALL_METHODS = MethodsConfig.model_validate({"squeeze_excite": {"reduction": 4}, "blurpool": {}})


def small(name: ModelName = "resnet_20", methods: MethodsConfig | None = None) -> ResNetClassifier:
    torch.manual_seed(0)
    return build_model(ModelConfig(name=name, num_classes=10), methods or MethodsConfig())


def images(num: int = 4, size_px: int = 16) -> Tensor:
    return torch.randn(num, 3, size_px, size_px, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
@pytest.mark.parametrize("mode", ["training", "evaluation"])
def test_logits_and_gradients_are_bit_for_bit_torchvisions(name, mode):
    ours = create_resnet(name, 10)
    theirs = getattr(torchvision.models, name)(num_classes=10)
    theirs.load_state_dict(ours.state_dict())
    for model in (ours, theirs):
        model.train(mode == "training")
        model(images(size_px=32)).square().sum().backward()
    assert torch.equal(ours(images(size_px=32)), theirs(images(size_px=32)))
    expected = dict(theirs.named_parameters())
    for parameter_name, parameter in ours.named_parameters():
        assert torch.equal(parameter.grad, expected[parameter_name].grad)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", FAMILY)
def test_blocks_are_all_of_the_published_number_in_order(name):
    with torch.device("meta"):
        model = create_resnet(name)
    expected = [
        model.get_submodule(f"layer{stage}").get_submodule(str(index))
        for stage, num_blocks in enumerate(FAMILY[name].blocks_per_stage, start=1)
        # In resnet_9 a convolution comes before the block.
        for index in (range(num_blocks) if name != "resnet_9" else [1] * num_blocks)
    ]
    assert [id(block) for block in model.blocks] == [id(block) for block in expected]


@pytest.mark.parametrize("shape", [(9, 1), (9, 4)], ids=["whole batch", "each image"])
def test_factors_of_one_change_nothing(shape):
    model = small()
    assert torch.equal(model(images(), torch.ones(shape)), model(images()))


def test_a_factor_of_zero_leaves_the_shortcut():
    block = small().blocks[-1].eval()
    x = images().mean(dim=1, keepdim=True).expand(4, 64, 16, 16)
    assert torch.equal(block(x, torch.zeros(1)), x.relu())


def test_a_factor_scales_the_branch_of_its_image_alone():
    block = small().blocks[-1].eval()
    x = images().mean(dim=1, keepdim=True).expand(4, 64, 16, 16)
    branch = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))  # pyright: ignore[reportCallIssue]
    found = block(x, torch.tensor([0.0, 2.0, 1.0, 0.5]))
    expected = torch.stack(
        [x[0], x[1] + 2 * branch[1], x[2] + branch[2], x[3] + branch[3] / 2]
    ).relu()
    assert torch.equal(found, expected)


def test_each_block_takes_its_own_row_of_the_factors():
    model = small().eval()
    seen: list[Tensor] = []
    for block in model.blocks:
        block.register_forward_pre_hook(lambda _, given: seen.append(given[1]))
    keep = torch.rand(9, 4)
    model(images(), keep)
    assert torch.equal(torch.stack(seen), keep)


def test_a_factor_keeps_the_type_of_a_half_precision_branch():
    block = small().blocks[0].to(torch.bfloat16)
    x = torch.ones(2, 16, 4, 4, dtype=torch.bfloat16)
    assert block(x, torch.tensor([1.25])).dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["resnet_20", "resnet_9", "resnet50"])
@pytest.mark.parametrize("methods", [MethodsConfig(), ALL_METHODS], ids=["plain", "methods"])
def test_recomputing_activations_trains_bit_for_bit_the_same(name, methods):
    states = []
    for recompute in (False, True):
        model = small(name, methods)
        model.activation_checkpointing = recompute
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        keep = torch.linspace(0, 1.5, 4 * len(model.blocks)).view(-1, 4)
        for step in range(3):
            optimizer.zero_grad()
            logits = model(images() + step, keep)
            model.loss(logits, torch.tensor([0, 3, 5, 9])).backward()
            optimizer.step()
        states.append(model.state_dict())
    plain, recomputed = states
    assert plain["bn1.num_batches_tracked"] == 3
    assert [name for name in plain if not torch.equal(plain[name], recomputed[name])] == []


def test_recomputing_keeps_no_activation_of_the_inside_of_a_block():
    model = small()
    model.activation_checkpointing = True
    inner: list[torch.Size] = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda saved: (inner.append(saved.shape), saved)[1], lambda saved: saved
    ):
        model(images(num=4))
    # Of 9 blocks their inputs, and the stem's and the head's own: 16 channels of 16x16 px come
    # from the stem's convolution and norm, and from 3 blocks; the last of those feeds the next.
    assert sum(shape == (4, 16, 16, 16) for shape in inner) <= 2 + 4


def test_evaluation_recomputes_nothing():
    model = small().eval()
    expected = model(images())
    model.activation_checkpointing = True
    calls: list[nn.Module] = []
    model.blocks[0].conv1.register_forward_hook(lambda module, *_: calls.append(module))  # pyright: ignore[reportAttributeAccessIssue]
    logits = model(images())
    logits.sum().backward()
    assert torch.equal(logits, expected)
    assert len(calls) == 1


@pytest.mark.parametrize("methods", [MethodsConfig(), ALL_METHODS], ids=["plain", "methods"])
def test_compiling_makes_one_graph_with_the_same_logits(methods):
    model = small("resnet18", methods)
    counter = CompileCounter()
    compiled = torch.compile(model, backend=counter, fullgraph=True)
    keep = torch.full((8, 1), 0.5)
    expected = small("resnet18", methods)(images(), keep)
    torch.testing.assert_close(compiled(images(), keep), expected)
    assert counter.frame_count == 1
