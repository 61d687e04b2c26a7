"""What a sweep costs beside its trainings, side by side in one run: `make bench-sweep`.

- *start*: seconds from a trial's start to its first optimizer step, trial 2 onwards, against a
  fresh `TorchTrainer` per trial (`start`).
- *rate*: trials per minute against the same trainings in a bare Python loop (`throughput`).
- *memory*: of the driver over 1,000 trials (`many_trials`).
- *overhead*: wall time of 200 trials against that of their trainings alone (`overhead`).

Sides and parts run one after another, each in a process of its own. Asked for: a start in at most
1/20 of the time; at least 0.8 of the bare loop's rate with one slot and more than it with two; the
driver's memory flat within 100 MB from the first tenth of the trials on; at most 1.10 of the
trainings' own time.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks import many_trials, overhead, start, throughput
from benchmarks.alone import run_alone, temporary_home
from benchmarks.results import SHORT, write_result
from benchmarks.sweep_page import PARTS, is_whole, section


def measure(part: str, args: argparse.Namespace) -> dict[str, Any]:
    """One part, by its letter."""

    def at_most(trials: int) -> int:
        return min(trials, args.trials or trials)

    match part:
        case "a":
            return {"seconds": _starts(at_most(start.TRIALS))}
        case "b":
            trials = at_most(throughput.TRIALS)
            sides = throughput.measure(trials, args.repeats, args.epochs)
            return {"sides": sides, "epochs": args.epochs}
        case "c":
            return many_trials.measure(at_most(many_trials.TRIALS))
        case _:
            trials = at_most(overhead.TRIALS)
            return overhead.measure(trials, min(trials, overhead.SAMPLE))


def _starts(trials: int) -> dict[str, list[float]]:
    with temporary_home() as home:
        ran = run_alone(home, "benchmarks.start", "--trials", str(trials))
    return json.loads(ran.output.splitlines()[-1])["seconds"]


def main() -> None:
    """Measure, print, write a result for each part."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = ", ".join(f"{key}: {name}" for key, name in PARTS.items())
    parser.add_argument("--only", choices=PARTS, help=f"one part ({names})")
    parser.add_argument("--trials", type=int, help="at most so many in each part, to try it out")
    parser.add_argument("--repeats", type=int, default=throughput.REPEATS, help="of each side of b")
    parser.add_argument("--epochs", type=int, help="of each trial of b, to try it out")
    parser.add_argument("--into", type=Path, help="folder of the results")
    args = parser.parse_args()
    if args.trials is not None and args.trials < 2:
        parser.error("--trials: the first is left out of a, so at least 2")
    for part in [args.only] if args.only else PARTS:
        found = measure(part, args)
        name = f"sweep_{PARTS[part]}" + ("" if is_whole(part, found) else SHORT)
        print(section(part, write_result(name, found, versions={}, folder=args.into)), flush=True)


if __name__ == "__main__":
    main()
