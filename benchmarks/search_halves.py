"""Whether a stopping rule that is chosen on half of the configurations keeps its word on the rest.

The configurations are split at random into halves, many times; a rule is chosen on either half, as
the shipped default is on all, and looked at on the other one. Beside it stands how each rule fares
on the halves: a spread over configurations, which the tables of `benchmarks.search` have not, whose
orders are all of the same ones. ``python -m benchmarks.search_halves`` trains nothing and takes a
minute or two.
"""

import argparse
import statistics
from collections import Counter
from collections.abc import Sequence

import numpy as np

from benchmarks.search import LARGEST_COST, LARGEST_REGRET, Row, compare, draw_orders, quality_seeds
from benchmarks.search_record import FOLDER
from benchmarks.search_replay import Curves, load_curves
from benchmarks.search_rules import candidates
from benchmarks.search_tasks import TASKS

SPLIT_SEED = 17

Table = dict[str, list[Row]]
"""The rows of each rule, by its name: one per task."""


def choose(table: Table) -> str:
    """The rule for a default: of the cheap enough, never worse than random, least worst regret.

    If every cheap enough rule is worse than random on a task, the one with the greatest least gain.
    """
    cheap = {
        name: rows for name, rows in table.items() if max(row.cost for row in rows) <= LARGEST_COST
    }
    safe = {
        name: rows
        for name, rows in cheap.items()
        if all(row.is_no_worse_than_random for row in rows)
    }
    if safe:
        return min(safe, key=lambda name: max(row.regret for row in safe[name]))
    return max(cheap, key=lambda name: min(row.gain for row in cheap[name]))


def main() -> None:
    """Split, choose and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--splits", type=int, default=10, help="into two halves, at random")
    parser.add_argument("--orders", type=int, default=20, help="of each half of each task")
    parser.add_argument("--trials", type=int, default=16, help="of each replayed sweep")
    args = parser.parse_args()
    curves = {task: load_curves(FOLDER / f"{task}.jsonl") for task in TASKS}
    count = min(map(len, curves.values()))
    rng = np.random.default_rng(SPLIT_SEED)
    halves: list[Table] = []  # each beside the one it is tried on
    for _ in range(args.splits):
        order = rng.permutation(count)
        for chosen in (order[: count // 2], order[count // 2 :]):
            halves.append(_table(curves, chosen.tolist(), args.orders, args.trials))
    print(
        f"{len(halves)} halves of {count // 2} configurations, {args.orders} orders of "
        f"{args.trials} trials on each; tasks: {', '.join(TASKS)}\n"
    )
    _print_chosen(halves)
    _print_rules(halves)


def _table(
    curves: dict[str, list[Curves]], indices: Sequence[int], num_orders: int, num_trials: int
) -> Table:
    table: Table = {rule.name: [] for rule in candidates()}
    for everything in curves.values():
        half = [everything[index] for index in indices]
        orders = draw_orders(half, num_orders=num_orders, num_trials=num_trials)
        for rule in candidates():
            table[rule.name].append(compare(rule, orders, quality_seeds(everything)))
    return table


def _print_chosen(halves: list[Table]) -> None:
    names = [choose(table) for table in halves]
    others = [halves[index ^ 1][name] for index, name in enumerate(names)]  # on the other half
    print("chosen on a half, how often: ", end="")
    print("; ".join(f"{name} ({times})" for name, times in Counter(names).most_common()))
    safe = sum(all(row.is_no_worse_than_random for row in rows) for rows in others)
    good = sum(all(row.is_good_enough for row in rows) for rows in others)
    print(
        f"on the other half: never worse than random {safe} of {len(others)}, cost at most "
        f"{LARGEST_COST:g} and regret at most {LARGEST_REGRET:g} points too {good} of {len(others)}"
    )
    fields = {"cost": ".2f", "regret": ".2f", "random_regret": ".2f", "gain": "+.2f"}
    words = (f"{field} {_means(others, field, form)}" for field, form in fields.items())
    print(f"  there, by task: {', '.join(words)}")


def _print_rules(halves: list[Table]) -> None:
    print(
        f"\nover the halves, by task\n{'rule':36} {'cost':>5} {'gain':^26} "
        f"{'deviation over halves':^24}  never worse"
    )
    for name in halves[0]:
        rows = [table[name] for table in halves]
        safe = sum(all(row.is_no_worse_than_random for row in each) for each in rows)
        cost = statistics.fmean(row.cost for each in rows for row in each)
        gains = list(zip(*([row.gain for row in each] for each in rows), strict=True))
        means = " ".join(f"{statistics.fmean(task):+8.2f}" for task in gains)
        deviations = " ".join(f"{statistics.stdev(task):7.2f}" for task in gains)
        print(f"{name:36} {cost:5.2f} {means} {deviations}  {safe} of {len(rows)}")


def _means(rows: list[list[Row]], field: str, form: str) -> str:
    tasks = zip(*([getattr(row, field) for row in each] for each in rows), strict=True)
    return " ".join(format(statistics.fmean(task), form) for task in tasks)


if __name__ == "__main__":
    main()
