"""Progressive resizing: small images first, full size at the end; needs no torch."""

from resnet_core.methods.section import ProgressiveResizingConfig


def size_at(config: ProgressiveResizingConfig, *, full_px: int, step: int, total_steps: int) -> int:
    """Side of the training images at a step, in pixels.

    The scale stays at ``initial_scale`` for ``delay_ratio`` of the training, is 1 for the last
    ``finetune_ratio`` of it, and grows in a straight line between.

    Args:
        config: Shares and scale.
        full_px: Side at full size.
        step: Optimizer step, from 0.
        total_steps: Of the whole training.

    Returns:
        ``full_px`` times the scale, rounded to the nearest multiple of ``size_increment_px``, which
        is its least; exactly ``full_px`` where the scale is 1.

    Source: MosaicML Composer's method card of progressive resizing.
    """
    share = step / total_steps
    growing = 1 - config.delay_ratio - config.finetune_ratio
    scale = config.initial_scale
    if total_steps - step <= config.finetune_ratio * total_steps or scale == 1:
        return full_px
    if share > config.delay_ratio:
        scale += (1 - scale) * (share - config.delay_ratio) / growing
    increment = config.size_increment_px
    size = round(full_px * scale / increment) * increment
    return min(max(size, increment), full_px)
