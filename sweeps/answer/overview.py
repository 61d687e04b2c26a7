"""A sweep in one row: for the list of all sweeps, and to compare two of them."""

from dataclasses import dataclass
from typing import Any, Literal

from sweeps.answer.results import SweepResult, read_result
from sweeps.answer.statistics import Interval
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder

Phase = Literal["running", "finished", "interrupted", "cancelled", "stopped"]


@dataclass(frozen=True)
class Overview:
    """What there is to know of a sweep at a glance.

    Attributes:
        result: Its rows.
        phase: As `phase_of` tells it.
        num_trials: To be trained in all; None where only a budget ends it.
    """

    result: SweepResult
    phase: Phase
    num_trials: int | None

    @property
    def trials_ended(self) -> int:
        """Of those that count towards `num_trials`."""
        return sum(row.record.was_trained and row.record.ended for row in self.result.rows)

    @property
    def gain(self) -> Interval | None:
        """How much better the winner is than the recipe, positive is better whatever the metric.

        Confirmed it is the mean paired difference with its interval, else the difference of one
        training each (``half_width`` is None); None without a winner or without the recipe. The
        recipe's gain over itself is 0.
        """
        result = self.result
        winner, baseline = result.winner, result.baseline
        if winner is None:
            return None
        if result.verdict is not None:
            confirmation = result.verdict.confirmation
            if winner.record.index == 0:
                return Interval(0.0, 0.0, len(confirmation.recipe.finite))
            return next(
                one.gain
                for one in confirmation.comparisons
                if one.candidate.trial_id == winner.record.id
            )
        if baseline is None or winner.value is None or baseline.value is None:
            return None
        sign = 1 if result.objective.mode == "max" else -1
        return Interval(sign * (winner.value - baseline.value), None, 1)

    def to_dict(self) -> dict[str, Any]:
        """The row as ``-o json`` prints it."""
        result, gain = self.result, self.gain
        best = result.best
        return {
            "sweep": result.name,
            "status": self.phase,
            "trials_ended": self.trials_ended,
            "trials": self.num_trials,
            "metric": result.objective.metric,
            "mode": result.objective.mode,
            "best": best.record.id if best else None,
            "best_value": best.value if best else None,
            "winner": result.winner.record.id if result.winner else None,
            "gain": gain.to_dict() if gain else None,
            "cost": {"unit": result.cost_unit, "hours": result.cost},
            "started_at": result.state.started_at,
            "wall_seconds": result.state.wall_seconds,
        }


def phase_of(folder: SweepFolder) -> Phase:
    """What a sweep is doing: ``state.json`` knows nothing of a driver that was killed."""
    if folder.is_running:
        return "running"
    status = folder.read_state().status
    return "interrupted" if status == "running" else status


def read_overview(folder: SweepFolder, sweep: Sweep) -> Overview:
    """Read a sweep's folder."""
    phase = phase_of(folder)  # before its rows: what has ended stays as it is
    result = read_result(folder, sweep)
    trials = None if sweep.num_trials is None else sweep.num_trials + result.state.extra_trials
    return Overview(result, phase, trials)
