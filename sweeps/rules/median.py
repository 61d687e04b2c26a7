"""Median stopping: a trial ends when even its best is below what others averaged until then.

Source: Golovin et al. 2017 (Google Vizier), section 3.2.1, except that it compares with every other
trial that has got as far, as Ray Tune does: of completed ones, a sweep has none for a long time.
"""

import math
from statistics import median

from sweeps.rules.rule import PROTECTED_TRIALS, larger_is_better


class MedianStopping:
    """The curves of one sweep, and who lags behind them; a `StoppingRule`.

    A trial's epochs are told in rising order; what is told again is not counted again.

    Args:
        grace_epochs: Nobody is stopped before this many epochs, unless the value is NaN.
        min_trials: Nor while fewer other trials have got as far, at least 1.
        maximize: Whether larger values are better.
    """

    def __init__(self, *, grace_epochs: int, min_trials: int, maximize: bool) -> None:
        if grace_epochs < 1 or min_trials < 1:
            raise ValueError(
                f"grace_epochs and min_trials are at least 1, got {grace_epochs} and {min_trials}"
            )
        self._grace = grace_epochs
        self._min_trials = min_trials
        self._maximize = maximize
        self._values: dict[int, list[float]] = {}  # trial -> values until now, larger is better
        self._averages: dict[int, dict[int, float]] = {}  # epoch -> trial -> mean until then

    def observe(self, trial: int, epoch: int, value: float) -> bool:
        """See `StoppingRule.observe`; asked after every epoch."""
        averages = self._averages.setdefault(epoch, {})
        values = self._values.setdefault(trial, [])
        own = larger_is_better(value, maximize=self._maximize)
        if trial not in averages:
            values.append(own)
            averages[trial] = sum(values) / len(values)
        if trial in PROTECTED_TRIALS:
            return True
        others = [average for other, average in averages.items() if other != trial]
        if epoch < self._grace or len(others) < self._min_trials:
            return own > -math.inf
        return own > -math.inf and max(values) >= median(others)
