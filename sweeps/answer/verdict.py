"""The answer of a confirmation in plain words, and as plain data.

What it claims rests on the validation split and fresh seeds; the test split is told beside it.
Accuracies are in per cent and their differences in percentage points, losses in their own unit.
"""

from dataclasses import asdict, dataclass
from typing import Any

from sweeps.answer.confirmation import Candidate, Comparison, Confirmation, Outcome, choose, outcome
from sweeps.answer.final_test import FinalDifference, final_difference
from sweeps.answer.statistics import Interval


@dataclass(frozen=True)
class Verdict:
    """Who won, and how sure that is.

    Attributes:
        confirmation: What it rests on.
        outcome: As `sweeps.answer.confirmation.outcome` tells it.
        winner: A candidate or the recipe; of a tie the one with the better mean.
        test: The winner against the recipe on the test split; None if not both were tested.
        lines: The words: the answer first, then what else one should know.
    """

    confirmation: Confirmation
    outcome: Outcome
    winner: Candidate
    test: FinalDifference | None
    lines: list[str]

    @property
    def text(self) -> str:
        """The words, one sentence or two a line."""
        return "\n".join(self.lines)

    def to_dict(self) -> dict[str, Any]:
        """As ``-o json`` prints it; fractions, not per cent."""
        confirmation = self.confirmation
        value = confirmation.recipe_value
        return {
            "outcome": self.outcome,
            "winner": self.winner.trial_id,
            "metric": confirmation.metric,
            "mode": "max" if confirmation.maximize else "min",
            "seeds": confirmation.seeds,
            "recipe": {
                **confirmation.recipe.to_dict(),
                "value": value and value.to_dict(),
            },
            "candidates": [one.to_dict() for one in confirmation.comparisons],
            "test": self.test and asdict(self.test),
            "text": self.lines,
        }


def judge(confirmation: Confirmation) -> Verdict:
    """Compare, choose, and say it.

    Raises:
        ValueError: If winner and recipe were tested on different numbers of images.
    """
    test = final_difference(confirmation.test) if confirmation.test else None
    lines = [_answer(confirmation), *_means(confirmation), *_caveats(confirmation)]
    lines.append(_about_test(confirmation, test))
    return Verdict(confirmation, outcome(confirmation), choose(confirmation), test, lines)


def _answer(confirmation: Confirmation) -> str:
    best = confirmation.nearest
    if best is None or best.gain is None:
        return "no answer: every candidate diverged, or shares no seed with the recipe"
    gain, seeds = best.gain, _seeds(best.gain.n)
    ahead, cost = _difference(confirmation, abs(gain.mean)), _cost(best)
    name = best.candidate.trial_id
    match outcome(confirmation):
        case "better":
            width = _amount(confirmation, gain.half_width or 0)
            ahead = _difference(confirmation, gain.mean, f" +- {width}")
            return f"{name} beats the recipe by {ahead} (95 %, {seeds}, paired){cost}"
        case "tie":
            return (
                f"tie: {name} is {ahead} better than the recipe, but the interval of the "
                f"difference contains 0 ({_ends(confirmation, gain)}; 95 %, {seeds}, paired){cost}"
            )
        case "one_seed":
            return (
                f"not shown: {name} is {ahead} better than the recipe with one seed{cost}, which "
                "does not tell what another seed gives; confirm with 3 or more"
            )
        case _:
            if gain.high is None:
                sure, margin = "one seed, so another may tell otherwise", ""
            else:
                margin = "" if gain.high < 0 else ", though by no margin that shows"
                sure = f"{_ends(confirmation, gain)}; 95 %, {seeds}, paired"
            return (
                f"the recipe itself is best{margin}: {name} comes nearest, {ahead} worse "
                f"({sure}){cost}"
            )


def _means(confirmation: Confirmation) -> list[str]:
    """Each one's own mean; their intervals do not use the pairs, so they say less."""
    values = [(one.candidate.trial_id, one.value) for one in confirmation.comparisons]
    values.append(("recipe", confirmation.recipe_value))
    parts, total = [], len(confirmation.seeds)
    for name, value in values:
        if value is not None:
            fewer = "" if value.n == total else f" ({_seeds(value.n)})"
            parts.append(f"{name} {_value(confirmation, value)}{fewer}")
    return [f"mean {confirmation.metric} over {_seeds(total)}: {', '.join(parts)}"] if parts else []


def _caveats(confirmation: Confirmation) -> list[str]:
    lines = []
    num_candidates = len(confirmation.candidates)
    if num_candidates > 1 and outcome(confirmation) in ("better", "tie"):
        lines.append(
            f"it is the best of {num_candidates} candidates; the interval is wide enough to hold "
            "after that choice (Bonferroni)"
        )
    for one in confirmation.comparisons:
        name, diverged = one.candidate.trial_id, one.candidate.diverged
        if diverged:
            lines.append(f"{name} diverged with {_named(diverged)}, so it cannot win")
        missing = len(confirmation.seeds) - len(one.seeds)
        if missing:
            lines.append(
                f"{name} and the recipe are compared on {len(one.seeds)} of "
                f"{_seeds(len(confirmation.seeds))}: the others lack a value of one of them"
            )
    if diverged := confirmation.recipe.diverged:
        lines.append(f"the recipe diverged with {_named(diverged)}")
    return lines


def _about_test(confirmation: Confirmation, test: FinalDifference | None) -> str:
    split = "the validation split, by which the candidates were chosen"
    if test is None:
        scores = list(confirmation.test.recipe.values()) if confirmation.test else []
        if not scores:
            return f"this holds for {split}; the test split was not used"
        mean = sum(score.accuracy for score in scores) / len(scores)
        return (
            f"test split ({scores[0].num_images} images, {_seeds(len(scores))}): "
            f"the recipe has {100 * mean:.2f} %"
        )
    gain = test.difference
    low, high = gain.low or 0, gain.high or 0
    shown = "better there" if low > 0 else "worse there" if high < 0 else "no difference shown"
    scope = "new seeds and images" if gain.n > 1 else "new images, not new seeds"
    paired = "" if test.paired else ", images not paired"
    return (
        f"test split ({test.num_images} images, {_seeds(gain.n)}): "
        f"{100 * test.accuracy:.2f} % against {100 * test.recipe_accuracy:.2f} % of the recipe, "
        f"{100 * gain.mean:+.2f} +- {100 * (gain.half_width or 0):.2f} points "
        f"(95 %, for {scope}{paired}): {shown}"
    )


def _amount(confirmation: Confirmation, value: float) -> str:
    return f"{100 * value:.2f}" if confirmation.is_accuracy else f"{value:.3g}"


def _difference(confirmation: Confirmation, value: float, width: str = "") -> str:
    """``0.41 +- 0.12 points of val_accuracy`` or ``0.013 of val_loss``."""
    unit = " points" if confirmation.is_accuracy else ""
    return f"{_amount(confirmation, value)}{width}{unit} of {confirmation.metric}"


def _ends(confirmation: Confirmation, gain: Interval) -> str:
    low, high = gain.low or 0, gain.high or 0
    if confirmation.is_accuracy:
        return f"{100 * low:+.2f} to {100 * high:+.2f} points"
    return f"{low:+.3g} to {high:+.3g}"


def _value(confirmation: Confirmation, value: Interval) -> str:
    width = ""
    if value.half_width is not None:
        width = f" +- {_amount(confirmation, value.half_width)}"
    unit = " %" if confirmation.is_accuracy else ""
    return f"{_amount(confirmation, value.mean)}{width}{unit}"


def _cost(best: Comparison) -> str:
    return "" if best.cost_ratio is None else f" at {best.cost_ratio:.2f} of its cost"


def _seeds(count: int) -> str:
    return f"{count} seed" if count == 1 else f"{count} seeds"


def _named(seeds: list[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
