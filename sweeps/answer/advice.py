"""What a finished sweep suggests for the next one: ranges to widen, keys to fix, noise to mind.

Every line says what was seen in how many trials, and no more: a sweep is a small experiment.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from sweeps.answer.effects import p_value_of_groups, p_value_of_number
from sweeps.answer.range_ends import crowded_end, widened
from sweeps.answer.statistics import spearman
from sweeps.space.conditions import canonical
from sweeps.space.ranges import Range
from sweeps.space.sampled import Listed

MIN_TRIALS = 10
"""For a word on effects; fewer would miss all but the largest."""
MIN_TRIALS_FOR_NOISE = 8
"""A spread twice the noise falls below the noise in 3 % of sweeps of 8 trials, by chi-square."""
MIN_P_VALUE = 0.2
MAX_RANK_CORRELATION = 0.3
MIN_GROUP = 3
"""Two values of a list must have so many trials each before its effect is judged."""

_STOPPED = -1e300  # below every value, above diverged

Kind = Literal["noise", "edge", "no_effect"]


@dataclass(frozen=True)
class Row:
    """One trial, as far as advice needs it.

    Attributes:
        overrides: Recipe path -> value, of what varied; empty for the recipe itself.
        value: The objective after its whole schedule; NaN if it diverged, None if not completed.
        stopped: It was stopped for being weak: worse than all completed ones, in no known order.
    """

    overrides: Mapping[str, Any]
    value: float | None
    stopped: bool = False


@dataclass(frozen=True)
class Noise:
    """How far two results of one and the same recipe lie apart.

    Attributes:
        standard_deviation: In the objective's own unit, above 0.
        source: For people: ``between seeds``.
    """

    standard_deviation: float
    source: str


@dataclass(frozen=True)
class Advice:
    """One line.

    Attributes:
        kind: noise, edge or no_effect.
        path: The key that it is about; None for the whole sweep.
        text: The words.
    """

    kind: Kind
    path: str | None
    text: str

    def to_dict(self) -> dict[str, Any]:
        """As ``-o json`` prints it."""
        return asdict(self)


def noise_between_seeds(groups: Sequence[Sequence[float]]) -> Noise | None:
    """From recipes that were trained with several seeds each: their pooled standard deviation.

    Args:
        groups: Per recipe its values; those of a single seed tell nothing and are left out.
    """
    groups = [group for group in groups if len(group) > 1]
    if not groups:
        return None
    squares = sum(float(np.var(group)) * len(group) for group in groups)
    deviation = math.sqrt(squares / sum(len(group) - 1 for group in groups))
    return Noise(deviation, "between seeds") if deviation > 0 else None


def noise_of_images(accuracy: float, num_images: int) -> Noise | None:
    """The standard error of an accuracy on so many images, sqrt(p (1 - p) / n).

    Trials share their validation images, so part of it is common to all of them: what is within it
    may still be real, what is far beyond it is.
    """
    deviation = math.sqrt(accuracy * (1 - accuracy) / num_images)
    return Noise(deviation, f"of {num_images} validation images") if deviation > 0 else None


def advise(
    rows: Sequence[Row],
    domains: Mapping[str, Any],
    *,
    metric: str,
    maximize: bool,
    noise: Noise | None = None,
    seed: int = 0,
) -> list[Advice]:
    """Advice after a sweep: on its noise first, then key by key.

    Where the trials differ by no more than the noise nothing else is said, since nothing else is
    known; and of a key without a visible effect it is not said where its optimum lies.

    Args:
        rows: The trials, without duplicates.
        domains: Recipe path -> domain, as in the space; fixed and derived keys are passed over.
        metric: Of the objective; accuracies are told in percentage points.
        maximize: Whether more of it is better.
        noise: Of the objective; None if unknown.
        seed: Of the random permutations.
    """
    if within := _within_noise(rows, metric, noise):
        return [within]
    found = []
    for path, domain in domains.items():
        varied = [row for row in rows if path in row.overrides and _has_result(row)]
        # A generator per key, so that one key's advice does not depend on the others'.
        rng = np.random.default_rng([seed, *path.encode()])
        advice = _no_effect(path, domain, varied, maximize, rng)
        found.append(advice or _edge(path, domain, varied, maximize))
    return [one for one in found if one]


def _within_noise(rows: Sequence[Row], metric: str, noise: Noise | None) -> Advice | None:
    values = [row.value for row in rows if row.value is not None and math.isfinite(row.value)]
    if noise is None or len(values) < MIN_TRIALS_FOR_NOISE:
        return None
    if any(row.stopped or (row.value is not None and math.isnan(row.value)) for row in rows):
        return None  # the trials that are left are alike because the others were not
    spread = float(np.std(values, ddof=1))
    if spread > noise.standard_deviation:
        return None
    told, of_noise = (_amount(metric, one) for one in (spread, noise.standard_deviation))
    return Advice(
        "noise",
        None,
        f"the {len(values)} completed trials differ by {told} (standard deviation), which is not "
        f"above the noise {noise.source}, {of_noise}: the ranges are too narrow to tell the trials "
        "apart; widen them, or measure with more seeds or images",
    )


def _no_effect(
    path: str, domain: Any, rows: list[Row], maximize: bool, rng: np.random.Generator
) -> Advice | None:
    if len(rows) < MIN_TRIALS:
        return None
    values = [row.overrides[path] for row in rows]
    results = [_goodness(row, maximize) for row in rows]
    if isinstance(domain, Range):
        correlation = spearman(values, results)
        if correlation is None or abs(correlation) > MAX_RANK_CORRELATION:
            return None
        p_value = p_value_of_number(values, results, rng)
        seen = f"rank correlation {correlation if maximize else -correlation:+.2f}, "
    elif isinstance(domain, Listed):
        groups = [canonical(value) for value in values]
        if sum(groups.count(group) >= MIN_GROUP for group in set(groups)) < 2:
            return None
        p_value, seen = p_value_of_groups(groups, results, rng), ""
    else:
        return None
    if p_value is None or p_value <= MIN_P_VALUE:
        return None
    return Advice(
        "no_effect",
        path,
        f"{path}: no effect seen in {len(rows)} trials ({seen}permutation p = {p_value:.2f}); "
        "a small one may be there: leave it at the recipe's value, or try a wider range",
    )


def _edge(path: str, domain: Any, rows: list[Row], maximize: bool) -> Advice | None:
    completed = [row for row in rows if row.value is not None and math.isfinite(row.value)]
    completed.sort(key=lambda row: _goodness(row, maximize), reverse=True)
    best_first = [row.overrides[path] for row in completed]
    end = crowded_end(domain, best_first)
    if end is None:
        return None
    side, beyond = ("lower", "below") if end < 0 else ("upper", "above")
    if isinstance(domain, Listed):
        last = (min if end < 0 else max)(domain.values)
        wider = f"add values {beyond} {last:g}"
    else:
        last = domain.bounds[0 if end < 0 else 1]
        bounds = widened(domain, end)
        wider = ""
        if bounds:
            wider = f"widen: {domain.kind}: [{', '.join(f'{bound:g}' for bound in bounds)}]"
    so = (
        f"{wider}, if there is anything {beyond} {last:g}"
        if wider
        else (f"if {last:g} is not its limit, widen the range")
    )
    return Advice(
        "edge",
        path,
        f"{path}: the best of {len(rows)} trials lie at the {side} end of the range "
        f"(best {best_first[0]:.3g}, end {last:g}), so the optimum may lie beyond; {so}",
    )


def _has_result(row: Row) -> bool:
    return row.stopped or row.value is not None


def _goodness(row: Row, maximize: bool) -> float:
    """Larger is better; diverged is worse than stopped, and both worse than completed."""
    if row.value is None:
        return _STOPPED
    if not math.isfinite(row.value):
        return -math.inf
    return row.value if maximize else -row.value


def _amount(metric: str, value: float) -> str:
    return f"{100 * value:.2f} points" if metric.endswith("accuracy") else f"{value:.3g}"
