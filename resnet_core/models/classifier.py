"""What every member of the family can do, whichever stem and stages it has."""

from collections.abc import Iterator
from typing import cast

from torch import Tensor, nn

from resnet_core.loss import LOSSES
from resnet_core.metrics import ClassificationMetrics
from resnet_core.models.blocks import ResidualBlock, run_and_forget
from resnet_core.models.family import ModelConfig


class ResNetClassifier(nn.Module):
    """A member of the family with the loss it is trained by; made by `create_resnet`.

    Attributes:
        config: What the model was built from.
        activation_checkpointing: While training, keep only the input of each residual block and
            recompute the rest in the backward pass: less memory, about a third more time, the same
            numbers bit for bit.
    """

    conv1: nn.Conv2d
    bn1: nn.BatchNorm2d
    relu: nn.Module
    maxpool: nn.Module
    avgpool: nn.Module
    fc: nn.Linear
    config: ModelConfig
    activation_checkpointing: bool = False

    @property
    def stages(self) -> list[nn.Sequential]:
        """``layer1`` and so on, from the image to the head."""
        children = self.named_children()
        return [cast(nn.Sequential, child) for name, child in children if name.startswith("layer")]

    @property
    def blocks(self) -> list[ResidualBlock]:
        """All residual blocks, from the image to the head."""
        return [module for module in self._stage_modules() if isinstance(module, ResidualBlock)]

    def forward(self, images: Tensor, keep: Tensor | None = None) -> Tensor:
        """Logits, float (N, K), for images.

        Args:
            images: Normalised, float (N, 3, H, W), H and W in pixels.
            keep: Factors of the residual branches, float (B, 1) for the whole batch or (B, N) for
                each image, with B = ``len(model.blocks)``; None is 1 throughout.
        """
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        index = 0
        for module in self._stage_modules():
            if not isinstance(module, ResidualBlock):
                x = module(x)
                continue
            factor = None if keep is None else keep[index]
            index += 1
            if self.activation_checkpointing and self.training:
                x = run_and_forget(module, x, factor)
            else:
                x = module(x, factor)
        return self.fc(self.avgpool(x).flatten(1))

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean loss of a batch.

        Args:
            logits: Float (N, K).
            targets: Class indices, int64 (N,), or class probabilities, float (N, K).

        Returns:
            A scalar.
        """
        return LOSSES[self.config.loss_name](logits, targets)

    def metrics(self) -> ClassificationMetrics:
        """Fresh sums for loss, top-1 and top-5 accuracy, on the device of the parameters."""
        return ClassificationMetrics(LOSSES[self.config.loss_name], device=self.fc.weight.device)

    def _stage_modules(self) -> Iterator[nn.Module]:
        for stage in self.stages:
            yield from stage
