"""A training batch as the network takes it: what is done on the device, in fixed order."""

from torch import Tensor

from resnet_core.data.augment import normalise
from resnet_core.data.dataset import ImageData
from resnet_core.data.loader import Batch
from resnet_core.methods.col_out import col_out
from resnet_core.methods.cutmix import cutmix, draw_box
from resnet_core.methods.label_smoothing import smooth_labels
from resnet_core.methods.mixup import mixup
from resnet_core.methods.progressive_resizing import size_at
from resnet_core.methods.resolution import resize
from resnet_core.random_streams import Stream, numpy_generator
from resnet_core.recipe import Recipe


def prepare(
    recipe: Recipe, data: ImageData, batch: Batch, *, full_px: int, step: int, total_steps: int
) -> tuple[Tensor, Tensor]:
    """Normalise, resize, leave out columns, smooth labels, mix; the order of `resnet_core.methods`.

    What is drawn is the same for every worker's share of a batch.

    Args:
        recipe: What to do.
        data: For mean and deviation.
        batch: This worker's share, on the device.
        full_px: The recipe's ``image_size_px``, which takes long to ask for at each step.
        step: Optimizer step, from 0.
        total_steps: Of the whole training.

    Returns:
        Images, float32 (N, 3, H, W), and targets: class indices, int64 (N,), or, where smoothed or
        mixed, class probabilities, float32 (N, K).
    """
    methods = recipe.methods
    images = normalise(
        batch.images, data.mean, data.std, channels_last=recipe.methods.channels_last
    )
    size = full_px
    if methods.progressive_resizing is not None:
        size = size_at(
            methods.progressive_resizing, full_px=size, step=step, total_steps=total_steps
        )
    images = resize(images, size)
    if methods.col_out is not None:
        images = col_out(
            images,
            row_ratio=methods.col_out.row_ratio,
            column_ratio=methods.col_out.column_ratio,
            rng=numpy_generator(recipe.seed, Stream.COL_OUT, step),
        )
    targets = batch.labels
    if methods.label_smoothing or methods.mixup or methods.cutmix:
        smoothing = methods.label_smoothing.smoothing if methods.label_smoothing else 0.0
        targets = smooth_labels(targets, num_classes=recipe.model.num_classes, smoothing=smoothing)
    return _mix(recipe, images, targets, step)


def _mix(recipe: Recipe, images: Tensor, targets: Tensor, step: int) -> tuple[Tensor, Tensor]:
    mixup_config, cutmix_config = recipe.methods.mixup, recipe.methods.cutmix
    if mixup_config is None and cutmix_config is None:
        return images, targets
    rng = numpy_generator(recipe.seed, Stream.MIX, step)
    if mixup_config is not None and cutmix_config is not None:
        mixup_config = mixup_config if rng.random() < 0.5 else None
    if mixup_config is not None:
        weight = float(rng.beta(mixup_config.alpha, mixup_config.alpha))
        return mixup(images, targets, weight=weight)
    assert cutmix_config is not None
    weight = float(rng.beta(cutmix_config.alpha, cutmix_config.alpha))
    height, width = images.shape[2:]
    box = draw_box(height, width, weight=weight, rng=rng)
    return cutmix(images, targets, box=box)
