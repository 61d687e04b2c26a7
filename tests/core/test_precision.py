from typing import Any

import pytest
import torch

from resnet_core.precision import Precision, autocast, loss_scaler, tf32

CPU = torch.device("cpu")
BACKENDS: tuple[Any, ...] = (
    torch.backends.cuda.matmul,
    torch.backends.cudnn.conv,  # pyright: ignore[reportAttributeAccessIssue]
)


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_products_are_computed_in_the_named_precision(precision: Precision, dtype):
    weight = torch.ones(2, 2, requires_grad=True)
    with autocast(precision, CPU):
        product = torch.ones(2, 2) @ weight
    assert product.dtype == dtype
    assert weight.dtype == torch.float32


def test_gradients_are_fp32_in_every_precision():
    for precision in ("fp32", "bf16", "fp16"):
        weight = torch.ones(2, 2, requires_grad=True)
        with autocast(precision, CPU):
            product = torch.ones(2, 2) @ weight
        product.float().sum().backward()
        assert weight.grad is not None
        assert weight.grad.dtype == torch.float32


def test_fp32_turns_an_outer_autocast_off():
    with autocast("bf16", CPU), autocast("fp32", CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.parametrize(
    ("precision", "enabled"), [("fp32", False), ("bf16", False), ("fp16", True)]
)
def test_only_fp16_scales_the_loss(precision: Precision, enabled):
    scaler = loss_scaler(precision, CPU)
    assert scaler.is_enabled() is enabled
    # torch's own first scale.
    assert scaler.scale(torch.ones(())).item() == (2**16 if enabled else 1)


def test_an_overflow_halves_the_scale():
    weight = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    scaler = loss_scaler("fp16", CPU)
    scaler.scale((torch.inf * weight).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 2**15
    assert weight.item() == 1


@pytest.fixture
def backends_as_before():
    before = [backend.fp32_precision for backend in BACKENDS]
    yield
    for backend, setting in zip(BACKENDS, before, strict=True):
        backend.fp32_precision = setting


@pytest.mark.parametrize(("allowed", "setting"), [(True, "tf32"), (False, "ieee")])
@pytest.mark.usefixtures("backends_as_before")
def test_products_and_convolutions_round_to_tf32_only_where_allowed(allowed, setting):
    with tf32(allowed=allowed):
        assert [backend.fp32_precision for backend in BACKENDS] == [setting, setting]


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("before", [("tf32", "ieee"), ("ieee", "tf32")])
@pytest.mark.usefixtures("backends_as_before")
def test_the_setting_of_tf32_is_restored(before, allowed):
    for backend, setting in zip(BACKENDS, before, strict=True):
        backend.fp32_precision = setting
    with tf32(allowed=allowed):
        pass
    assert tuple(backend.fp32_precision for backend in BACKENDS) == before


@pytest.mark.usefixtures("backends_as_before")
def test_the_setting_of_tf32_is_restored_after_an_exception():
    for backend in BACKENDS:
        backend.fp32_precision = "ieee"
    with pytest.raises(RuntimeError, match="out of memory"), tf32(allowed=True):
        raise RuntimeError("out of memory")
    assert [backend.fp32_precision for backend in BACKENDS] == ["ieee", "ieee"]
