"""`create_resnet`: members of the ResNet family, parameter names torchvision's."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from torch import nn
from torchvision.models.resnet import ResNet

from resnet_core.methods.blurpool import apply_blurpool
from resnet_core.methods.channels_last import to_channels_last
from resnet_core.methods.section import MethodsConfig
from resnet_core.methods.squeeze_excite import SqueezeExcite
from resnet_core.methods.zero_init_residual import zero_last_gammas
from resnet_core.models.blocks import BasicBlock, Bottleneck
from resnet_core.models.cifar import CifarResNet, ResNet9
from resnet_core.models.classifier import ResNetClassifier
from resnet_core.models.family import (
    DEFAULT_WIDTH_PER_GROUP,
    InitializerName,
    LossName,
    ModelConfig,
    Stem,
    get_member,
)
from resnet_core.models.initializers import initialize
from resnet_core.models.pretrained import load_pretrained
from resnet_core.plain_errors import explain

__all__ = ["ResNetClassifier", "build_architecture", "build_model", "create_resnet"]

_BLOCKS: dict[str, type[BasicBlock | Bottleneck]] = {"basic": BasicBlock, "bottleneck": Bottleneck}
_NO_METHODS = MethodsConfig()


# The first argument of forward is ours to name: nobody passes images as x=.
class ImageNetResNet(ResNetClassifier, ResNet):  # pyright: ignore[reportIncompatibleMethodOverride]
    """resnet18 to resnet152: torchvision's ResNet."""

    def __init__(self, config: ModelConfig) -> None:
        member = get_member(config.name)
        ResNet.__init__(
            self,
            _BLOCKS[member.block],
            list(member.blocks_per_stage),
            num_classes=config.num_classes,
            groups=config.groups,
            width_per_group=config.width_per_group,
        )
        if config.initial_stem == "cifar":
            self.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
            nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
            self.maxpool = nn.Identity()
        self.config = config


def create_resnet(
    model_name: str,
    num_classes: int = ModelConfig.model_fields["num_classes"].default,
    pretrained: bool | str = False,
    groups: int = 1,
    width_per_group: int = DEFAULT_WIDTH_PER_GROUP,
    initializers: Sequence[InitializerName] | None = None,
    loss_name: LossName = ModelConfig.model_fields["loss_name"].default,
    *,
    initial_stem: Stem = ModelConfig.model_fields["initial_stem"].default,
) -> ResNetClassifier:
    """Build a member of the ResNet family for images (N, 3, H, W).

    Args:
        model_name: A key of `resnet_core.models.family.FAMILY`: resnet18 to resnet152 for
            ImageNet, resnet_9 to resnet_110 for images of 32x32 pixels.
        num_classes: K, at least 2.
        pretrained: True for torchvision's default ImageNet weights, ``imagenet1k_v1`` or
            ``imagenet1k_v2`` for one of them, or a local file with a state dict. With another
            number of classes the trunk is loaded, the head is new, and a UserWarning says so.
            Published weights need the network once, or torch's cache filled.
        groups: Groups of the 3x3 convolutions; other than 1 only with bottleneck blocks, and a
            divisor of 64.
        width_per_group: Channels per group in the first stage; likewise.
        initializers: Names, see `initialize`; None leaves torchvision's own.
        loss_name: soft_cross_entropy or binary_cross_entropy_with_logits.
        initial_stem: imagenet (7x7, stride 2, max-pool) or cifar (3x3, stride 1, no pool).

    Raises:
        ValueError: If the arguments make no possible model, or a local file is of another model;
            says which and why.
        OSError: If pretrained weights cannot be had or read; names the file.

    Source: torchvision's ``ResNet``; names and meaning of the arguments as on Composer's card.
    """
    get_member(model_name)
    arguments: dict[str, Any] = {
        "name": model_name,
        "num_classes": num_classes,
        "pretrained": pretrained,
        "groups": groups,
        "width_per_group": width_per_group,
        "initializers": initializers,
        "loss_name": loss_name,
        "initial_stem": initial_stem,
    }
    try:
        config = ModelConfig.model_validate(arguments)
    except ValidationError as error:
        told = explain(error, ModelConfig, arguments)
        text = "; ".join(f"{'.'.join(map(str, one.loc))}: {one.message}" for one in told)
        raise ValueError(f"create_resnet: {text}") from None
    return build_model(config)


def build_model(config: ModelConfig, methods: MethodsConfig = _NO_METHODS) -> ResNetClassifier:
    """Build the model of a recipe as its training begins; draws from torch's global random stream.

    Args:
        config: The model section.
        methods: The methods section; here its squeeze_excite, blurpool, zero_init_residual and
            channels_last count.

    Raises:
        ValueError: If a method does not go with the model or with its pretrained weights.
        OSError: If pretrained weights cannot be had or read; names the file.
    """
    config.check_methods(methods)
    model = build_architecture(config, methods)
    initialize(model, config.initializers)
    load_pretrained(model)
    if methods.zero_init_residual:
        zero_last_gammas(block.last_norm for block in model.blocks)
    return to_channels_last(model) if methods.channels_last else model


def build_architecture(
    config: ModelConfig, methods: MethodsConfig = _NO_METHODS
) -> ResNetClassifier:
    """The model without what decides its first weights: for a checkpoint, or on the meta device.

    Args:
        config: The model section; pretrained and initializers do not count.
        methods: The methods section; its squeeze_excite and blurpool count.

    Raises:
        ValueError: If a method does not go with the model.
    """
    if get_member(config.name).kind == "imagenet":
        model: ResNetClassifier = ImageNetResNet(config)
    else:
        model = ResNet9(config) if config.name == "resnet_9" else CifarResNet(config)
    if methods.squeeze_excite is not None:
        # After the trunk, so that the same seed gives the same trunk with and without.
        for block in model.blocks:
            channels = block.last_norm.num_features
            block.se = SqueezeExcite(channels, methods.squeeze_excite.reduction)
    if methods.blurpool is not None:
        apply_blurpool(model, methods.blurpool)
    return model
