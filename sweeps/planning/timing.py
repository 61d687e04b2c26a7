"""Seconds of a training as they were measured, and between what was measured. Needs no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """A number with the range that it was measured or estimated in."""

    low: float
    mid: float
    high: float

    def __add__(self, other: "Span") -> "Span":
        return Span(self.low + other.low, self.mid + other.mid, self.high + other.high)

    def __mul__(self, factor: float) -> "Span":
        return Span(self.low * factor, self.mid * factor, self.high * factor)


@dataclass(frozen=True)
class Timing:
    """What one worker takes, in seconds.

    Attributes:
        step_seconds: Per image of the worker's share of a training step; low and high are the
            means of the fastest and of the slowest third of the measurement.
        evaluation_seconds: Per image of the validation split.
        checkpoint_seconds: To make one checkpoint and its digest, the disk not counted.
        num_train: Training images.
        num_validation: Validation images.
    """

    step_seconds: Span
    evaluation_seconds: float
    checkpoint_seconds: float
    num_train: int
    num_validation: int

    def epoch_seconds(self, train_batch_size: int, num_workers: int) -> Span:
        """What an epoch takes with its evaluation and its checkpoint, steps of whole batches."""
        num_images = self.num_train // train_batch_size * train_batch_size
        rest = self.evaluation_seconds * self.num_validation / num_workers + self.checkpoint_seconds
        return self.step_seconds * (num_images / num_workers) + Span(rest, rest, rest)


def interpolated(timings: list[tuple[float, Timing]], flops: float) -> Timing:
    """A timing between the measured ones, in proportion to the training FLOPs per image.

    Args:
        timings: FLOPs and timing of at least one model, by rising FLOPs.
        flops: Of the model asked for; above the last one time grows with them, below the first one
            it stays, since small models do not keep a device busy.
    """
    below = [pair for pair in timings if pair[0] <= flops]
    above = [pair for pair in timings if pair[0] >= flops]
    if not below:
        return above[0][1]
    (first_flops, first) = below[-1]
    if not above:
        return _mixed(first, first, 0.0, flops / first_flops)
    (second_flops, second) = above[0]
    if second_flops == first_flops:
        return first
    return _mixed(first, second, (flops - first_flops) / (second_flops - first_flops), 1.0)


def _mixed(first: Timing, second: Timing, weight: float, factor: float) -> Timing:
    def mix(one: float, other: float) -> float:
        return ((1 - weight) * one + weight * other) * factor

    return Timing(
        step_seconds=(first.step_seconds * (1 - weight) + second.step_seconds * weight) * factor,
        evaluation_seconds=mix(first.evaluation_seconds, second.evaluation_seconds),
        checkpoint_seconds=mix(first.checkpoint_seconds, second.checkpoint_seconds),
        num_train=first.num_train,
        num_validation=first.num_validation,
    )
