"""Progressive resizing: small images first, full size at the end; needs no torch."""

from fractions import Fraction

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
    initial, delay, finetune = (
        Fraction(repr(value))  # 0.43 + 0.57 is not 1 in floats
        for value in (config.initial_scale, config.delay_ratio, config.finetune_ratio)
    )
    share = Fraction(step, total_steps)
    if share >= 1 - finetune or initial == 1:
        return full_px
    scale = initial
    if share > delay:
        scale += (1 - initial) * (share - delay) / (1 - delay - finetune)
    increment = config.size_increment_px
    size = round(full_px * scale / increment) * increment
    return min(max(size, increment), full_px)
