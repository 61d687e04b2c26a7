"""Made-up images, the same ones each time, for trying things out without data."""

import torch

from resnet_core.data.dataset import Split
from resnet_core.data.section import FakeConfig

_SEED = 20_100


def make_fake(config: FakeConfig, num_classes: int) -> tuple[Split, Split, Split]:
    """Train, validation and test: noise around a pattern of 4x4 squares for each class.

    Args:
        config: How many, and their size.
        num_classes: Labels are drawn from as many.

    Returns:
        Images, uint8 (N, 3, image_size_px, image_size_px), and labels.
    """
    generator = torch.Generator().manual_seed(_SEED)
    size = config.image_size_px
    patterns = torch.rand(num_classes, 3, 4, 4, generator=generator)

    def split(count: int) -> Split:
        labels = torch.randint(num_classes, (count,), generator=generator)
        pattern = torch.nn.functional.interpolate(patterns[labels], size=(size, size))
        noise = torch.rand(count, 3, size, size, generator=generator)
        return Split((127.5 * (pattern + noise)).to(torch.uint8), labels)

    return split(config.num_train), split(config.num_evaluation), split(config.num_evaluation)
