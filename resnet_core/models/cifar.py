"""The members for images of 32x32 pixels: a 3x3 stem and three stages, torchvision's names.

Source: He et al. 2015, arXiv:1512.03385, section 4.2, with the projection shortcuts (option B) and
the ResNet-9 of MosaicML Composer's CIFAR model card.
"""

from torch import Tensor, nn

from resnet_core.models.blocks import BasicBlock
from resnet_core.models.classifier import ResNetClassifier
from resnet_core.models.family import ModelConfig, get_member

_WIDTHS = (16, 32, 64)


class CifarResNet(ResNetClassifier):
    """resnet_20 to resnet_110: 6n + 2 layers in three stages of 16, 32 and 64 channels."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self._add_stem(_WIDTHS[0])
        channels = _WIDTHS[0]
        stages = zip(_WIDTHS, get_member(config.name).blocks_per_stage, strict=True)
        for number, (width, num_blocks) in enumerate(stages, start=1):
            stride = 1 if number == 1 else 2
            blocks = [_block(channels, width, stride)]
            blocks += [_block(width, width, 1) for _ in range(num_blocks - 1)]
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
            channels = width
        self._add_head(channels)

    def _add_stem(self, channels: int) -> None:
        self.conv1 = _conv3x3(3, channels)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity()

    def _add_head(self, channels: int) -> None:
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, self.config.num_classes)
        for module in self.modules():  # as torchvision's ResNet begins
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class ResNet9(CifarResNet):
    """resnet_9: 64, 128 and twice 256 channels; residual blocks in the first and the last stage."""

    def __init__(self, config: ModelConfig) -> None:
        nn.Module.__init__(self)
        self.config = config
        self._add_stem(64)
        self.layer1 = nn.Sequential(_Halving(64, 128), _block(128, 128, 1))
        self.layer2 = nn.Sequential(_Halving(128, 256))
        self.layer3 = nn.Sequential(_Halving(256, 256), _block(256, 256, 1))
        self._add_head(256)


class _Halving(nn.Module):
    """Convolution, batch norm, ReLU and a 2x2 max-pool that halves height and width."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(in_channels, out_channels)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.maxpool(self.relu(self.bn1(self.conv1(x))))


def _conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False)


def _block(in_channels: int, out_channels: int, stride: int) -> BasicBlock:
    if stride == 1 and in_channels == out_channels:
        return BasicBlock(in_channels, out_channels)
    projection = nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )
    return BasicBlock(in_channels, out_channels, stride, projection)
