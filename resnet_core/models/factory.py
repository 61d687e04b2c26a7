"""`create_resnet`: torchvision's ResNet with a loss and metrics, parameter names unchanged."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torchvision.models import get_model_weights
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from resnet_core.loss import LOSSES
from resnet_core.metrics import ClassificationMetrics
from resnet_core.models.family import (
    DEFAULT_WIDTH_PER_GROUP,
    InitializerName,
    LossName,
    ModelConfig,
    Stem,
    get_member,
)
from resnet_core.models.initializers import initialize

_BLOCKS: dict[str, type[BasicBlock | Bottleneck]] = {"basic": BasicBlock, "bottleneck": Bottleneck}


class ResNetClassifier(ResNet):
    """A member of the family with the loss it is trained by; made by `create_resnet`."""

    def __init__(self, config: ModelConfig) -> None:
        member = get_member(config.name)
        super().__init__(
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
        self._loss = LOSSES[config.loss_name]

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean loss of a batch.

        Args:
            logits: Float (N, K).
            targets: Class indices, int64 (N,), or class probabilities, float (N, K).

        Returns:
            A scalar.
        """
        return self._loss(logits, targets)

    def metrics(self) -> ClassificationMetrics:
        """Fresh sums for loss, top-1 and top-5 accuracy, on the device of the parameters."""
        return ClassificationMetrics(self._loss, device=self.fc.weight.device)


def create_resnet(
    model_name: str,
    num_classes: int = ModelConfig.model_fields["num_classes"].default,
    pretrained: bool = False,
    groups: int = 1,
    width_per_group: int = DEFAULT_WIDTH_PER_GROUP,
    initializers: Sequence[InitializerName] | None = None,
    loss_name: LossName = ModelConfig.model_fields["loss_name"].default,
    *,
    initial_stem: Stem = ModelConfig.model_fields["initial_stem"].default,
) -> ResNetClassifier:
    """Build a member of the ResNet family for images (N, 3, H, W).

    Args:
        model_name: resnet18, resnet34, resnet50, resnet101 or resnet152.
        num_classes: K, at least 2.
        pretrained: Load torchvision's default ImageNet weights; where K is not 1000 the trunk is
            loaded and the head is new. Needs the network once, or torch's cache filled.
        groups: Groups of the 3x3 convolutions; other than 1 only with bottleneck blocks.
        width_per_group: Channels per group in the first stage; likewise.
        initializers: Names, see `initialize`; None leaves torchvision's own.
        loss_name: soft_cross_entropy or binary_cross_entropy_with_logits.
        initial_stem: imagenet (7x7, stride 2, max-pool) or cifar (3x3, stride 1, no pool).

    Raises:
        ValueError: If the arguments make no possible model; says which and why.
        OSError: If pretrained weights cannot be had.

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
    return build_model(ModelConfig.model_validate(arguments))


def build_model(config: ModelConfig) -> ResNetClassifier:
    """Build the model of a recipe; draws from torch's global random stream.

    Raises:
        OSError: If pretrained weights cannot be had.
    """
    model = ResNetClassifier(config)
    initialize(model, config.initializers)
    if config.pretrained:
        weights = get_model_weights(config.name)["DEFAULT"]  # pyright: ignore[reportIndexIssue]
        try:
            state = weights.get_state_dict(progress=False, check_hash=True)
        except OSError as error:
            raise OSError(
                f"no weights for {config.name}: {error}; bring {weights.url.rpartition('/')[2]} "
                "to torch's cache (TORCH_HOME/hub/checkpoints)"
            ) from error
        if config.num_classes != len(state["fc.bias"]):
            own = model.state_dict()
            state |= {name: own[name] for name in ("fc.weight", "fc.bias")}
        model.load_state_dict(state)
    return model
