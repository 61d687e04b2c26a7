"""How weights begin, by the names of Composer's model card; applied in the order of a list."""

import math
from collections.abc import Callable, Iterable

from torch import nn

from resnet_core.models.family import InitializerName


def initialize(model: nn.Module, names: Iterable[InitializerName]) -> None:
    """Apply initializers to every module, one after another; dtype and device stay.

    Args:
        model: Changed in place.
        names: kaiming_normal, kaiming_uniform, xavier_normal and xavier_uniform draw the weights of
            Conv2d and Linear (gain of ReLU, fan-in, for the first two), those of squeeze-excite
            included; bn_uniform draws gamma from U(0, 1) and bn_ones sets it to 1, both with beta
            0; linear_log_constant_bias sets the head's bias to -ln(number of classes), at which
            binary cross-entropy begins small. Other biases stay as they are.

    Raises:
        ValueError: If a name is unknown.
    """
    for name in names:
        if name not in _INITIALIZERS:
            raise ValueError(f"unknown initializer {name!r}; allowed: {', '.join(_INITIALIZERS)}")
        for module in model.modules():
            _INITIALIZERS[name](module)


def _weights(draw: Callable[..., object], **options: str) -> Callable[[nn.Module], None]:
    def initialize_module(module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d | nn.Linear):
            draw(module.weight, **options)

    return initialize_module


def _bn_uniform(module: nn.Module) -> None:
    if isinstance(module, nn.BatchNorm2d):
        nn.init.uniform_(module.weight)
        nn.init.zeros_(module.bias)


def _bn_ones(module: nn.Module) -> None:
    if isinstance(module, nn.BatchNorm2d):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)


def _linear_log_constant_bias(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.bias, -math.log(module.out_features))


_INITIALIZERS: dict[str, Callable[[nn.Module], None]] = {
    "kaiming_normal": _weights(nn.init.kaiming_normal_, nonlinearity="relu"),
    "kaiming_uniform": _weights(nn.init.kaiming_uniform_, nonlinearity="relu"),
    "xavier_normal": _weights(nn.init.xavier_normal_),
    "xavier_uniform": _weights(nn.init.xavier_uniform_),
    "bn_uniform": _bn_uniform,
    "bn_ones": _bn_ones,
    "linear_log_constant_bias": _linear_log_constant_bias,
}
