"""What a task's recorded scores are like: their spread, their noise, and what foretells them."""

import math
import statistics
from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from benchmarks.search_record import RUNGS
from benchmarks.search_replay import SEEDS, Curves, or_zero


def pooled_deviation(groups: Sequence[Sequence[float]]) -> float:
    """Standard deviation within groups: the root of the mean variance, weighted by its freedom."""
    squares = sum(statistics.variance(group) * (len(group) - 1) for group in groups)
    return math.sqrt(squares / sum(len(group) - 1 for group in groups))


def describe(task: str, curves: list[Curves], seeds: Sequence[int]) -> str:
    """A few lines on a task.

    Args:
        task: Its name.
        curves: Its configurations.
        seeds: Whose mean score is a configuration's quality.
    """
    qualities = [100 * c.quality(seeds) for c in curves]
    spread = sorted(qualities, reverse=True)
    what = "score with one seed" if len(seeds) == 1 else f"mean score of seeds {_words(seeds)}"
    return "\n".join(
        [
            f"{task}: {len(curves)} configurations, {what}: best {spread[0]:.1f}, second "
            f"{spread[1]:.1f}, fifth {spread[4]:.1f}, median {statistics.median(spread):.1f}, "
            f"worst {spread[-1]:.1f}",
            *_noise(curves, qualities),
            *_best(curves, qualities),
            *_rank_correlations(curves, qualities),
        ]
    )


def _noise(curves: list[Curves], qualities: list[float]) -> list[str]:
    """How far scores of one configuration differ."""
    median, fifth = statistics.median(qualities), sorted(qualities, reverse=True)[4]
    repeated = [
        (quality, [100 * or_zero(value) for value in c.final_by_seed.values()])
        for c, quality in zip(curves, qualities, strict=True)
        if len(c.final_by_seed) > 1
    ]
    parts = []
    for name, least in (("all", -math.inf), ("better half", median), ("best five", fifth)):
        scores = [values for quality, values in repeated if quality >= least]
        if scores:
            parts.append(f"{pooled_deviation(scores):.2f} ({name}, {len(scores)})")
    return [f"  one score's standard deviation over seeds, pooled: {', '.join(parts)}"]


def _best(curves: list[Curves], qualities: list[float]) -> list[str]:
    """The best scores that a sweep sees, and what they are worth."""
    both = [(100 * or_zero(c.final), quality) for c, quality in zip(curves, qualities, strict=True)]
    best = sorted(both, key=lambda pair: -pair[0])[:5]
    words = ", ".join(f"{score:.1f} ({quality:.1f})" for score, quality in best)
    return [f"  best scores with the first seed (that mean score): {words}"]


def _rank_correlations(curves: list[Curves], qualities: list[float]) -> list[str]:
    lines = []
    for kind in ("truncated", "complete"):
        ranks = []
        for rung in RUNGS:
            values = [
                c.truncated(rung) if kind == "truncated" else c.complete[rung] for c in curves
            ]
            ranks.append(f"{rung}ep {_rank_correlation(values, qualities):.2f}")
        lines.append(f"  rank correlation with that score, {kind}: {', '.join(ranks)}")
    if all(c.is_repeated for c in curves):
        others = [c.quality(SEEDS[1:]) for c in curves]
        lines[-1] += (
            "; final score of the first seed with the mean of the others: "
            f"{_rank_correlation([c.final for c in curves], others):.2f}"
        )
    return lines


def _rank_correlation(values: list[float], others: list[float]) -> float:
    """Spearman's; of equals, each has the mean rank."""
    ranks = [rankdata([or_zero(value) for value in side]) for side in (values, others)]
    return float(np.corrcoef(*ranks)[0, 1])


def _words(seeds: Sequence[int]) -> str:
    *some, last = map(str, seeds)
    return f"{', '.join(some)} and {last}"
