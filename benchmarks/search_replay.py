"""A sweep replayed from recorded learning curves, through the rules that real sweeps use.

Time is counted in epochs, all of one length; what a promoted trial trains afresh is paid for again.
A sweep sees one training of each trial and picks by its score. What the pick is worth is its
configuration's *quality*: the mean score over seeds, which no sweep sees.
"""

import heapq
import json
import math
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.search_tasks import NUM_EPOCHS
from sweeps.rules import PromotionRule, StoppingRule

SEEDS = (0, 1, 2)
"""Whose mean is a configuration's quality; a sweep sees the first."""


@dataclass(frozen=True)
class Curves:
    """What is recorded of a configuration.

    Attributes:
        whole: Accuracy after each epoch of the whole schedule; shorter if it diverged.
        complete: Accuracy at the end of a complete schedule, by its epochs; NaN if it diverged.
        final_by_seed: Accuracy at the end of the whole schedule, by seed; NaN if it diverged.
    """

    whole: list[float]
    complete: dict[int, float]
    final_by_seed: dict[int, float]

    @property
    def is_repeated(self) -> bool:
        """Whether it was trained whole with every one of `SEEDS`."""
        return all(seed in self.final_by_seed for seed in SEEDS)

    def truncated(self, epoch: int) -> float:
        """Accuracy of the whole schedule after so many epochs; NaN if it diverged before."""
        return self.whole[epoch - 1] if epoch <= len(self.whole) else math.nan

    @property
    def final(self) -> float:
        """What a sweep sees and picks by: the score with the first seed; NaN if it diverged."""
        return self.truncated(NUM_EPOCHS)

    def quality(self, seeds: Sequence[int] = SEEDS) -> float:
        """Mean score over seeds; one that diverged counts 0, as it classifies nothing."""
        return statistics.fmean(or_zero(self.final_by_seed[seed]) for seed in seeds)


def or_zero(accuracy: float) -> float:
    """A training that diverged classifies nothing."""
    return 0.0 if math.isnan(accuracy) else accuracy


def load_curves(path: Path) -> list[Curves]:
    """The configurations of a task that are recorded in full, from a file of `search_record`."""
    whole: dict[int, list[float]] = {}
    complete: dict[int, dict[int, float]] = {}
    finals: dict[int, dict[int, float]] = {}
    for line in map(json.loads, path.read_text().splitlines()):
        configuration, num_epochs = line["configuration"], line["num_epochs"]
        curve = line["val_accuracy"]
        last = curve[-1] if len(curve) == num_epochs else math.nan
        if num_epochs == NUM_EPOCHS:
            finals.setdefault(configuration, {})[line["seed"]] = last
            if line["seed"] == 0:
                whole[configuration] = curve
        else:
            complete.setdefault(configuration, {})[num_epochs] = last
    return [
        Curves(whole[index], complete[index], finals[index])
        for index in sorted(whole)
        if len(complete.get(index, {})) == 3
    ]


@dataclass(frozen=True)
class Replay:
    """What a replayed sweep came to.

    Attributes:
        cost_epochs: Trained in all.
        picked: The trial with the highest score of those that trained the whole schedule, of equals
            the earlier one; None if there is none.
        num_whole: Trials that trained it.
    """

    cost_epochs: int
    picked: int | None
    num_whole: int


def replay_truncated(rule: StoppingRule, trials: Sequence[Curves], num_slots: int) -> Replay:
    """Trials 1, 2, ... in order, each stopped in the middle of its schedule if the rule says so."""
    waiting = iter(range(1, len(trials) + 1))
    running: list[tuple[int, int, int]] = []  # when an epoch ends, of which trial, which epoch
    cost, finals = 0, {}

    def begin_next(now: int) -> None:
        if (trial := next(waiting, None)) is not None:
            heapq.heappush(running, (now + 1, trial, 1))

    for _ in range(num_slots):
        begin_next(0)
    while running:
        now, trial, epoch = heapq.heappop(running)
        value = trials[trial - 1].truncated(epoch)
        cost += 1
        goes_on = rule.observe(trial, epoch, value) and not math.isnan(value)
        if epoch == NUM_EPOCHS:
            finals[trial] = value
            goes_on = False
        if goes_on:
            heapq.heappush(running, (now + 1, trial, epoch + 1))
        else:
            begin_next(now)
    return _replay(cost, finals)


def replay_complete(rule: PromotionRule, trials: Sequence[Curves], num_slots: int) -> Replay:
    """Trials 1, 2, ... begin in order; each trains longer and longer schedules while promoted."""
    waiting = deque(range(1, len(trials) + 1))
    running: list[tuple[int, int, int]] = []  # when a schedule ends, of which trial, its epochs
    now, cost, finals = 0, 0, {}

    def next_schedule() -> tuple[int, int | None] | None:
        job = rule.next_promotion(last_call=not waiting)
        if job is None and waiting:
            trial = waiting.popleft()
            job = trial, rule.first_rung(trial, NUM_EPOCHS)
        return job

    while True:
        while len(running) < num_slots and (job := next_schedule()) is not None:
            trial, length = job[0], job[1] or NUM_EPOCHS
            heapq.heappush(running, (now + length, trial, length))
        if not running:
            return _replay(cost, finals)
        now, trial, length = heapq.heappop(running)
        cost += length
        curves = trials[trial - 1]
        if length == NUM_EPOCHS:
            finals[trial] = curves.final
        else:
            rule.record(trial, length, curves.complete[length], NUM_EPOCHS)


def _replay(cost: int, finals: dict[int, float]) -> Replay:
    found = [trial for trial in sorted(finals) if not math.isnan(finals[trial])]
    return Replay(cost, max(found, key=finals.__getitem__, default=None), len(finals))


def expected_quality(
    scores: Sequence[float], qualities: Sequence[float], num_drawn: float
) -> float:
    """Mean quality of the one with the best score among some drawn without replacement, exactly.

    Args:
        scores: To pick by; of equals, the earlier one is picked. Not NaN.
        qualities: Of the same.
        num_drawn: At least 1 are drawn; between two whole numbers, a straight line.
    """
    order = sorted(range(len(scores)), key=lambda index: -scores[index])  # stable
    ranked = [qualities[index] for index in order]
    num_drawn = min(max(num_drawn, 1.0), len(ranked))
    low = math.floor(num_drawn)
    share = num_drawn - low
    quality = _expected_first(ranked, low)
    if share == 0:
        return quality
    return (1 - share) * quality + share * _expected_first(ranked, low + 1)


def _expected_first(ranked: Sequence[float], num_drawn: int) -> float:
    # Rank k is picked if it is drawn, with all others from the ranks below it.
    ways = math.comb(len(ranked), num_drawn)
    return sum(
        quality * math.comb(len(ranked) - rank, num_drawn - 1) / ways
        for rank, quality in enumerate(ranked, start=1)
    )
