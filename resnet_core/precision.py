"""Numbers of the forward pass: autocast, loss scaling and TF32."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal

import torch

Precision = Literal["fp32", "bf16", "fp16"]

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class _NoAutocast:
    """Turns an outer autocast off; where there is none, all it costs is a look."""

    def __init__(self, device_type: str) -> None:
        self._device_type = device_type
        self._off = torch.autocast(device_type, enabled=False)
        self._is_outer_on = False

    def __enter__(self) -> None:
        self._is_outer_on = torch.is_autocast_enabled(self._device_type)
        if self._is_outer_on:
            self._off.__enter__()

    def __exit__(self, *error: Any) -> None:
        if self._is_outer_on:
            self._off.__exit__(*error)


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """The forward pass in this precision; weights stay in fp32."""
    if precision == "fp32":
        return _NoAutocast(device.type)
    return torch.autocast(device.type, _DTYPES[precision])


def loss_scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler:
    """Keeps small fp16 gradients above zero; does nothing in the other precisions.

    A step whose gradients overflow changes no weight, and the scale is halved.
    """
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


@contextmanager
def tf32(*, allowed: bool) -> Iterator[None]:
    """Let fp32 convolutions and matrix products of the GPU use TF32, or not; restored at the end.

    Source: NVIDIA's description of TF32: 10 bits of mantissa instead of 23.
    """
    convolutions: Any = torch.backends.cudnn.conv  # pyright: ignore[reportAttributeAccessIssue]
    backends = (torch.backends.cuda.matmul, convolutions)
    before = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "tf32" if allowed else "ieee"
        yield
    finally:
        for backend, setting in zip(backends, before, strict=True):
            backend.fp32_precision = setting
