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


class Preparation:
    """Normalise, resize, leave out columns, smooth labels, mix; the order of `resnet_core.methods`.

    What is drawn is the same for every worker's share of a batch.

    Args:
        recipe: What to do; looked up once, since a step is short.
        data: For mean and deviation.
        total_steps: Of the whole training.
    """

    def __init__(self, recipe: Recipe, data: ImageData, *, total_steps: int) -> None:
        methods = recipe.methods
        self._recipe, self._data, self._total_steps = recipe, data, total_steps
        self._full_px, self._channels_last = recipe.image_size_px, methods.channels_last
        self._growing, self._col_out = methods.progressive_resizing, methods.col_out
        self._mixes = bool(methods.mixup or methods.cutmix)
        self._soft = self._mixes or methods.label_smoothing is not None

    def __call__(self, batch: Batch, step: int) -> tuple[Tensor, Tensor]:
        """A batch as the network takes it.

        Args:
            batch: This worker's share, on the device.
            step: Optimizer step, from 0.

        Returns:
            Images, float32 (N, 3, H, W), and targets: class indices, int64 (N,), or, where smoothed
            or mixed, class probabilities, float32 (N, K).
        """
        data, size = self._data, self._full_px
        images = normalise(batch.images, data.mean, data.std, channels_last=self._channels_last)
        if self._growing is not None:
            size = size_at(self._growing, full_px=size, step=step, total_steps=self._total_steps)
        images = resize(images, size)
        if self._col_out is not None:
            images = col_out(
                images,
                row_ratio=self._col_out.row_ratio,
                column_ratio=self._col_out.column_ratio,
                rng=numpy_generator(self._recipe.seed, Stream.COL_OUT, step),
            )
        if not self._soft:
            return images, batch.labels
        label_smoothing = self._recipe.methods.label_smoothing
        targets = smooth_labels(
            batch.labels,
            num_classes=self._recipe.model.num_classes,
            smoothing=label_smoothing.smoothing if label_smoothing else 0.0,
        )
        return _mix(self._recipe, images, targets, step) if self._mixes else (images, targets)


def _mix(recipe: Recipe, images: Tensor, targets: Tensor, step: int) -> tuple[Tensor, Tensor]:
    mixup_config, cutmix_config = recipe.methods.mixup, recipe.methods.cutmix
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
