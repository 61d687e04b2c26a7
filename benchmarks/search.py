"""Stopping rules against random search at equal cost, replayed from recorded learning curves.

Each task's curves (``benchmarks/search/``, made by `benchmarks.search_record`) are put in random
orders, and every rule runs the sweep of each order. A sweep sees one training of each trial and
picks the best score among those trained whole; its *regret* is how far the picked configuration's
mean score over three seeds is below the best mean of all, in points (hundredths of accuracy).
Random search at equal cost trains ``cost / epochs of a whole schedule`` of the same trials whole
and picks in the same way; its expected regret is computed, not drawn. Run it with
``make bench-search``; it trains nothing and takes a quarter of a minute.
"""

import argparse
import math
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from benchmarks.search_describe import describe
from benchmarks.search_record import FOLDER
from benchmarks.search_replay import SEEDS, Curves, expected_quality, load_curves, or_zero
from benchmarks.search_rules import Candidate, candidates
from benchmarks.search_tasks import NUM_EPOCHS, TASKS

LARGEST_COST, LARGEST_REGRET = 0.5, 0.5
ORDER_SEED = 17


@dataclass(frozen=True)
class Row:
    """A rule on a task, over the orders; regrets in points.

    Attributes:
        cost: Mean share of training every trial whole.
        regret: Mean.
        regret_error: Standard error of that mean over the orders.
        worst_regret: Of all orders.
        loss: Mean of the regret less that of the sweep that trains every trial whole and picks by
            the same scores: what is lost by stopping, without what is lost by noise in picking.
        random_regret: Mean of random search's expected regret at each order's cost.
        gain: Mean of random's regret less the rule's; above 0 the rule is better.
        gain_error: Standard error of that mean.
        num_whole: Mean number of trials trained whole.
    """

    cost: float
    regret: float
    regret_error: float
    worst_regret: float
    loss: float
    random_regret: float
    gain: float
    gain_error: float
    num_whole: float

    @property
    def is_no_worse_than_random(self) -> bool:
        """Within two standard errors."""
        return self.gain >= -2 * self.gain_error

    @property
    def is_good_enough(self) -> bool:
        """Whether it may be the shipped default, by this task."""
        return (
            self.is_no_worse_than_random
            and self.cost <= LARGEST_COST
            and self.regret <= LARGEST_REGRET
        )


def compare(rule: Candidate, orders: list[list[Curves]], seeds: Sequence[int]) -> Row:
    """A rule on all orders of a task.

    Args:
        rule: To replay.
        orders: The trials of each sweep.
        seeds: Whose mean score is a configuration's quality.
    """
    costs, regrets, losses, randoms, wholes = [], [], [], [], []
    for trials in orders:
        replay = rule.run(trials)
        scores = [or_zero(curves.final) for curves in trials]
        qualities = [curves.quality(seeds) for curves in trials]
        num_whole_for_cost = replay.cost_epochs / NUM_EPOCHS
        quality = 0.0 if replay.picked is None else qualities[replay.picked - 1]
        costs.append(num_whole_for_cost / len(trials))
        regrets.append(100 * (max(qualities) - quality))
        losses.append(100 * (expected_quality(scores, qualities, len(trials)) - quality))
        expected = expected_quality(scores, qualities, num_whole_for_cost)
        randoms.append(100 * (max(qualities) - expected))
        wholes.append(replay.num_whole)
    gains = [random - regret for random, regret in zip(randoms, regrets, strict=True)]
    return Row(
        cost=statistics.fmean(costs),
        regret=statistics.fmean(regrets),
        regret_error=statistics.stdev(regrets) / math.sqrt(len(regrets)),
        worst_regret=max(regrets),
        loss=statistics.fmean(losses),
        random_regret=statistics.fmean(randoms),
        gain=statistics.fmean(gains),
        gain_error=statistics.stdev(gains) / math.sqrt(len(gains)),
        num_whole=statistics.fmean(wholes),
    )


def quality_seeds(curves: list[Curves], *, only_unseen: bool = False) -> tuple[int, ...]:
    """The seeds whose mean score is the quality on a task.

    Args:
        curves: All configurations of the task.
        only_unseen: Without the seed that sweeps see.
    """
    if not all(c.is_repeated for c in curves):
        return SEEDS[:1]
    return SEEDS[1:] if only_unseen else SEEDS


def draw_orders(
    curves: list[Curves], *, num_orders: int, num_trials: int, seed: int = ORDER_SEED
) -> list[list[Curves]]:
    """Sweeps of some of the configurations, in random order."""
    rng = np.random.default_rng(seed)
    return [
        [curves[index] for index in rng.permutation(len(curves))[:num_trials]]
        for _ in range(num_orders)
    ]


def main() -> None:
    """Replay and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--orders", type=int, default=100, help="random orders of each task")
    parser.add_argument("--trials", type=int, default=32, help="of each replayed sweep")
    parser.add_argument(
        "--unseen", action="store_true", help="quality is the mean of the seeds no sweep sees"
    )
    args = parser.parse_args()
    print(
        f"{datetime.now().astimezone().date()}, {os.cpu_count()} CPUs, "
        f"Python {platform.python_version()}: {args.orders} orders of {args.trials} trials each, "
        f"{NUM_EPOCHS} epochs"
    )
    table: dict[str, list[Row]] = {rule.name: [] for rule in candidates()}
    for task in TASKS:
        curves = load_curves(FOLDER / f"{task}.jsonl")
        seeds = quality_seeds(curves, only_unseen=args.unseen)
        orders = draw_orders(curves, num_orders=args.orders, num_trials=args.trials)
        print(f"\n{describe(task, curves, seeds)}\n\n{HEADER}")
        for rule in candidates():
            row = compare(rule, orders, seeds)
            table[rule.name].append(row)
            print(_line(rule.name, row), flush=True)
    print(f"\nover the tasks: means, and the worst\n{OVERALL_HEADER}")
    for name, rows in table.items():
        print(_overall(name, rows))
    print(f"\n{_verdict(table)}")


def _verdict(table: dict[str, list[Row]]) -> str:
    safe = {
        name: max(row.regret for row in rows)
        for name, rows in table.items()
        if all(row.is_no_worse_than_random and row.cost <= LARGEST_COST for row in rows)
    }
    nearest = sorted(safe, key=lambda name: safe[name])
    good = [name for name in nearest if safe[name] <= LARGEST_REGRET]
    return (
        "On no task worse than random search (2 standard errors), and cost at most "
        f"{LARGEST_COST:g} on each (largest mean regret): "
        f"{'; '.join(f'{name} ({safe[name]:.2f})' for name in nearest) or 'no rule'}.\n"
        f"Of these with a mean regret of at most {LARGEST_REGRET:g} points on each: "
        f"{'; '.join(good) or 'no rule'}."
    )


HEADER = (
    f"{'rule':36} {'cost':>5} {'whole':>5} {'regret':>6} {'+-':>5} {'worst':>6} {'loss':>6} "
    f"{'random':>6} {'gain':>6} {'+-':>5}"
)
OVERALL_HEADER = (
    f"{'rule':36} {'cost':>5} {'most':>5} {'regret':>6} {'most':>6} {'loss':>6} {'random':>6} "
    f"{'gain':>6} {'least':>6}  worse than random on"
)


def _line(name: str, row: Row) -> str:
    return (
        f"{name:36} {row.cost:5.2f} {row.num_whole:5.1f} {row.regret:6.2f} {row.regret_error:5.2f} "
        f"{row.worst_regret:6.2f} {row.loss:6.2f} {row.random_regret:6.2f} {row.gain:+6.2f} "
        f"{row.gain_error:5.2f}"
    )


def _overall(name: str, rows: list[Row]) -> str:
    def mean(values: list[float]) -> float:
        return statistics.fmean(values)

    costs, regrets, gains = (
        [getattr(row, field) for row in rows] for field in ("cost", "regret", "gain")
    )
    num_worse = sum(not row.is_no_worse_than_random for row in rows)
    return (
        f"{name:36} {mean(costs):5.2f} {max(costs):5.2f} {mean(regrets):6.2f} "
        f"{max(regrets):6.2f} {mean([row.loss for row in rows]):6.2f} "
        f"{mean([row.random_regret for row in rows]):6.2f} "
        f"{mean(gains):+6.2f} {min(gains):+6.2f}  {num_worse} of {len(rows)}"
    )


if __name__ == "__main__":
    main()
