"""What a sweep trains next: the one place where that is decided. Knows nothing of Ray.

The order of things: what was interrupted, then promotions to a longer schedule, then new trials,
and, once no new one will come, the last promotions and the confirmation. All of it follows from the
sweep's folder, so a driver that was killed is replaced by the next one without a word.
"""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from sweeps.admission import admit
from sweeps.assignment import Assignment, stretched
from sweeps.fresh_seeds import next_confirmation
from sweeps.memory import Memory
from sweeps.record import TrialRecord
from sweeps.rules import PromotionRule
from sweeps.spec import Sweep
from sweeps.spending import Budget
from sweeps.storage import SweepFolder
from sweeps.study import Suggester
from sweeps.sweep_checks import whole_epochs

MAX_FRUITLESS = 50
"""Suggestions in a row that are infeasible or known already, before the space counts as used up."""


class Agenda:
    """Hands out one assignment after another.

    Args:
        sweep: What to run.
        folder: Its folder.
        memory: The trials so far.
        promotions: The rule that promotes trials from rung to rung; None trains whole schedules.
        slots: Assignments that are trained at a time.
        wall_seconds: Tells how long the sweep has taken, over all its drivers.
    """

    def __init__(
        self,
        sweep: Sweep,
        folder: SweepFolder,
        memory: Memory,
        *,
        promotions: PromotionRule | None,
        slots: int,
        wall_seconds: Callable[[], float],
    ) -> None:
        spec, state = sweep.spec, folder.read_state()
        self._sweep, self._folder, self._memory = sweep, folder, memory
        self._rule, self._slots, self._wall_seconds = promotions, slots, wall_seconds
        self._budget = Budget(spec.budget, spec.resources, spec.objective)
        self._suggester = Suggester(sweep)
        self._num_points = sweep.num_points
        self._confirm = state.confirm or (spec.confirm.model_dump() if spec.confirm else None)
        self._limit = math.inf
        if sweep.num_trials is not None:
            self._limit = sweep.num_trials + state.extra_trials
        self._running: dict[str, Assignment] = {}
        self._out_of_budget = False
        self._unaffordable: tuple[int, int | None] | None = None  # promoted, but not begun
        self.closed = state.closed
        """Why no new trial comes; None as long as one may."""
        self._waiting = [
            record
            for record in [*memory.records.values(), *memory.confirmations.values()]
            if record.status in ("pending", "running") and record.twin is None
        ]
        self._remember()

    def _remember(self) -> None:
        """Tell the rule what the trials did before this driver began."""
        if self._rule is None:
            return
        for record in self._memory.records.values():
            whole = whole_epochs(self._sweep.recipe_for(record.overrides))
            ended = [rung["epochs"] for rung in record.rungs]
            for rung in record.rungs:
                self._rule.record(record.index, rung["epochs"], rung["value"], whole)
            may_go_on = record.status == "paused" or (
                record.status == "stopped_early" and self.closed is None
            )
            for epochs in ended[:-1] if may_go_on else ended:
                self._rule.promoted(record.index, epochs)

    # ---- what comes next ----------------------------------------------------------------------

    def next(self) -> Assignment | Literal["wait"] | None:
        """The next schedule to train.

        Returns:
            ``wait`` while one that runs may bring another; None when nothing is left.
        """
        if self._waiting:
            record = self._waiting.pop(0)
            return self._assign(self._memory.write(record, suggested_at=time.time()))
        self._look_at_results()
        found = self._promote(last_call=False) or self._new_trial()
        if found is not None:
            return found
        if any(assignment.record.copy == 0 for assignment in self._running.values()):
            return "wait"
        found = self._promote(last_call=True)
        if found is not None:
            return found
        self._stop_what_waits()
        found = self._next_confirmation()
        if found is None and self._running:
            return "wait"  # one that runs out of memory is tried again
        return found

    @property
    def has_more(self) -> bool:
        """Whether anything at all is left to decide; a sweep that has ended has nothing."""
        missing = self._confirm is not None and next_confirmation(
            self._sweep, self._memory, **self._confirm
        )
        paused = any(record.status == "paused" for record in self._memory.records.values())
        return bool(paused or missing or self.expects_more)

    @property
    def expects_more(self) -> bool:
        """Whether the search may still begin or take up a trial."""
        return bool(self._waiting) or (
            self.closed is None and self._memory.num_trained < self._limit
        )

    @property
    def epochs_to_come(self) -> float:
        """Epochs expected of what has not begun; infinite where only a budget ends the sweep."""
        trials = 0.0 if self.closed is not None else self._limit - self._memory.num_trained
        if trials == math.inf:
            return math.inf
        begun = max(1, self._memory.num_trained)
        per_trial = (self._memory.ledger.epochs + self._memory.ledger.epochs_left) / begun
        return max(0.0, trials) * per_trial + self._confirm_epochs_left

    @property
    def _confirm_epochs_left(self) -> float:
        """Of the part of the confirmation that has not begun yet."""
        if self._confirm is None:
            return 0.0
        trainings = (self._confirm["top_k"] + 1) * self._confirm["seeds"]
        left = max(0, trainings - len(self._memory.confirmations))
        return float(left * whole_epochs(self._sweep.recipe))

    def requeue(self, record: TrialRecord) -> None:
        """Train a trial's current schedule (again), before anything new."""
        self._waiting.append(self._memory.write(record, status="pending"))

    def ended(self, assignment: Assignment, value: float | None) -> None:
        """An assignment has ended.

        Args:
            assignment: The one.
            value: The objective at the end of a rung that the trial has come through, else None.
        """
        self._running.pop(assignment.key, None)
        self._memory.ledger.running.pop(assignment.key, None)
        if self._rule is not None and value is not None and assignment.rung is not None:
            whole = whole_epochs(self._sweep.recipe_for(assignment.record.overrides))
            self._rule.record(assignment.record.index, assignment.rung, value, whole)

    def _assign(self, record: TrialRecord) -> Assignment:
        recipe = self._sweep.recipe_for(record.overrides)
        epochs = whole_epochs(recipe)
        if record.rung is not None:
            recipe = stretched(recipe, record.rung)
        folder = self._folder.create_training(record, record.rung, recipe.to_yaml())
        assignment = Assignment(record, record.rung, folder)
        self._running[assignment.key] = assignment
        trained = len(self._folder.history(record, record.rung))
        self._memory.ledger.running[assignment.key] = (record.rung or epochs) - trained
        # A killed driver says no more how long it ran; this is as far as the next one knows.
        self._note(wall_seconds=self._wall_seconds())
        return assignment

    def _note(self, **changes: Any) -> None:
        self._folder.write_state(replace(self._folder.read_state(), **changes))

    def _close(self, reason: str) -> None:
        """Take up no new trial any more, now and after a restart."""
        if self.closed is None:
            self.closed = reason
            self._note(closed=reason)

    def _look_at_results(self) -> None:
        best = self._memory.completed[:1]
        value = self._memory.last_value(best[0]) if best else None
        if self._budget.has_reached_target(value):
            self._out_of_budget = True
        if self.closed is None:
            reason = self._budget.satisfied(value, self._memory.without_improvement)
            if reason is not None:
                self._close(reason)

    def _has_room(self, epochs: float) -> bool:
        """Whether the budget has room for so many epochs; once it has none, it stays closed."""
        if self._out_of_budget:
            return False
        whole = whole_epochs(self._sweep.recipe)
        reserved = self._confirm_epochs_left
        if self._rule is not None and not self._memory.has_candidate:
            # A budget without one whole trial answers nothing.
            reserved += whole + sum(self._rule.rungs(1, whole)[1:])
        reason = self._budget.spent_up(
            self._memory.ledger,
            wall_seconds=self._wall_seconds(),
            epochs_ahead=epochs,
            reserved_epochs=reserved,
            slots=self._slots,
        )
        if reason is not None:
            self._out_of_budget = True
            self._close(reason)
        return reason is None

    # ---- promotions ---------------------------------------------------------------------------

    def _promote(self, *, last_call: bool) -> Assignment | None:
        has_candidate = self._memory.has_candidate
        is_needed = last_call and not has_candidate
        if self._rule is None or (self._out_of_budget and not is_needed):
            return None
        found = self._unaffordable or self._rule.next_promotion(last_call=last_call)
        self._unaffordable = None
        if found is None:
            return None
        index, rung = found
        record = self._memory.records[index]
        # Without a candidate it is the way to one, for which there is a reserve.
        epochs = rung or whole_epochs(self._sweep.recipe_for(record.overrides))
        if not is_needed and not self._has_room(epochs if has_candidate else 0):
            self._unaffordable = found
            return None
        return self._assign(
            self._memory.write(record, status="pending", rung=rung, suggested_at=time.time())
        )

    def _stop_what_waits(self) -> None:
        for record in list(self._memory.records.values()):
            if record.status == "paused":
                self._memory.write(record, status="stopped_early")

    # ---- new trials ---------------------------------------------------------------------------

    def _new_trial(self) -> Assignment | None:
        """Ask for points until one has to be trained."""
        for _ in range(MAX_FRUITLESS):
            if self.closed is not None or self._memory.num_trained >= self._limit:
                return None
            if self._num_points is not None and self._memory.num_points >= self._num_points:
                self._close("every point of the space was tried")
                return None
            index = max(self._memory.records, default=-1) + 1
            overrides, sampler = {}, {}
            if index > 0:
                suggested = self._suggester.suggest(index, self._memory.seen())
                if suggested is None:
                    self._close("every point of the grid was tried")
                    return None
                overrides, sampler = suggested
            recipe = self._sweep.recipe_for(overrides)
            first = None
            if self._rule is not None:
                first = self._rule.first_rung(index, whole_epochs(recipe))
            if index > 0 and not self._has_room(first or whole_epochs(recipe)):
                return None
            record = admit(
                self._sweep,
                self._folder,
                self._memory,
                index,
                overrides,
                rung=first,
                sampler=sampler,
            )
            if record.status == "pending":
                return self._assign(record)
        self._close(f"the last {MAX_FRUITLESS} points were all infeasible or known already")
        return None

    # ---- confirmation -------------------------------------------------------------------------

    def _next_confirmation(self) -> Assignment | None:
        if self._confirm is None:
            return None
        record = next_confirmation(self._sweep, self._memory, **self._confirm)
        if record is None:
            return None
        self._folder.create_training(
            record, None, self._sweep.recipe_for(record.overrides).to_yaml()
        )
        return self._assign(self._memory.write(record))
