"""Which published weights there are, by torchvision's architecture; needs no torch.

Source: torchvision's weights tables (https://docs.pytorch.org/vision/stable/models.html), as
fractions. V1 are the classic recipes of 90 to 100 epochs, V2 those of 600 with the newer methods.
"""

WEIGHTS: dict[str, dict[str, float]] = {
    "resnet18": {"imagenet1k_v1": 0.69758},
    "resnet34": {"imagenet1k_v1": 0.73314},
    "resnet50": {"imagenet1k_v1": 0.76130, "imagenet1k_v2": 0.80858},
    "resnet101": {"imagenet1k_v1": 0.77374, "imagenet1k_v2": 0.81886},
    "resnet152": {"imagenet1k_v1": 0.78312, "imagenet1k_v2": 0.82284},
    "resnext50_32x4d": {"imagenet1k_v1": 0.77618, "imagenet1k_v2": 0.81198},
    "resnext101_32x8d": {"imagenet1k_v1": 0.79312, "imagenet1k_v2": 0.82834},
    "resnext101_64x4d": {"imagenet1k_v1": 0.83246},
    "wide_resnet50_2": {"imagenet1k_v1": 0.78468, "imagenet1k_v2": 0.81602},
    "wide_resnet101_2": {"imagenet1k_v1": 0.78848, "imagenet1k_v2": 0.82510},
}
"""Top-1 accuracy on ImageNet's validation set by weights name; the last one is the default."""

WEIGHTS_NAMES = tuple(sorted({name for published in WEIGHTS.values() for name in published}))

_VARIANTS = {
    ("resnet50", 32, 4): "resnext50_32x4d",
    ("resnet101", 32, 8): "resnext101_32x8d",
    ("resnet101", 64, 4): "resnext101_64x4d",
    ("resnet50", 1, 128): "wide_resnet50_2",
    ("resnet101", 1, 128): "wide_resnet101_2",
}
_STANDARD = (1, 64)


def architecture_of(member: str, groups: int, width_per_group: int) -> str | None:
    """Torchvision's name of a variant, or None where torchvision publishes no weights for it."""
    if (groups, width_per_group) == _STANDARD:
        return member if member in WEIGHTS else None
    return _VARIANTS.get((member, groups, width_per_group))


def variants_of(member: str) -> list[tuple[int, int]]:
    """Groups and width_per_group of every variant of a member that has published weights."""
    standard = [_STANDARD] if member in WEIGHTS else []
    return standard + [(groups, width) for name, groups, width in _VARIANTS if name == member]


def is_file_name(pretrained: str) -> bool:
    """Whether a text names a file and not published weights."""
    return "/" in pretrained or "\\" in pretrained or pretrained.endswith((".pt", ".pth"))
