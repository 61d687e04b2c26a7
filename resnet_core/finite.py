"""A training whose loss is no number any more ends, and says where that began."""

import math
from collections.abc import Callable
from itertools import pairwise


class NonFiniteLoss(ArithmeticError):
    """The training loss became NaN or infinite; the same recipe does so every time.

    Attributes:
        step: The optimizer step, from 0, whose loss it was.
        learning_rate: At that step.
        last_finite_loss: Of the step before it, None if there was none.
    """

    def __init__(self, step: int, learning_rate: float, last_finite_loss: float | None) -> None:
        before = (
            "" if last_finite_loss is None else f"; the loss before it was {last_finite_loss:g}"
        )
        super().__init__(
            f"the loss of step {step} is not finite (learning rate {learning_rate:g}){before}"
        )
        self.step = step
        self.learning_rate = learning_rate
        self.last_finite_loss = last_finite_loss


def check_finite(
    losses: list[float | None], first_step: int, learning_rate: Callable[[int], float]
) -> None:
    """Raise at the first loss that is not finite; the loss before ``first_step`` comes first."""
    for index, (before, loss) in enumerate(pairwise(losses)):
        if loss is not None and not math.isfinite(loss):
            raise NonFiniteLoss(first_step + index, learning_rate(first_step + index), before)
