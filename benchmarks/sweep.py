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
from typing import Any

from benchmarks import many_trials, overhead, start, throughput
from benchmarks.alone import run_alone, temporary_home
from benchmarks.machine import describe_machine, machine_line

PARTS = {"a": "start", "b": "rate", "c": "memory", "d": "overhead"}
START_RATIO, ONE_SLOT_RATIO, TWO_SLOTS_RATIO, GROWTH_MB = 20, 0.8, 1.0, 100
OVERHEAD_RATIO = 1.10


def measure_start(trials: int) -> dict[str, Any]:
    """Part a."""
    with temporary_home() as home:
        ran = run_alone(home, "benchmarks.start", "--trials", str(trials))
    seconds = json.loads(ran.output.splitlines()[-1])["seconds"]
    ratio = start.ratio(seconds)
    print("\n".join(start.lines(seconds)))
    print(_verdict(ratio >= START_RATIO, f"at least {START_RATIO}"), flush=True)
    return {"seconds": seconds, "ratio": ratio}


def measure_rate(trials: int, repeats: int, epochs: int | None) -> dict[str, Any]:
    """Part b."""
    sides = throughput.measure(trials, repeats, epochs)
    one, two = throughput.ratios(sides).values()
    print("\n".join(throughput.lines(sides)))
    met = one >= ONE_SLOT_RATIO and two > TWO_SLOTS_RATIO
    asked = f"at least {ONE_SLOT_RATIO:g} with one slot, above {TWO_SLOTS_RATIO:g} with two"
    print(_verdict(met, asked), flush=True)
    return {"sides": sides, "ratio_1_slot": one, "ratio_2_slots": two}


def measure_memory(trials: int) -> dict[str, Any]:
    """Part c."""
    found = many_trials.measure(trials)
    growth_mb = many_trials.growth_bytes(found) / many_trials.MEGABYTE
    print("\n".join(many_trials.lines(found)))
    print(_verdict(growth_mb <= GROWTH_MB, f"within {GROWTH_MB} MB"), flush=True)
    return {**found, "growth_mb": growth_mb}


def measure_overhead(trials: int) -> dict[str, Any]:
    """Part d."""
    found = overhead.measure(trials, min(trials, overhead.SAMPLE))
    print("\n".join(overhead.lines(found)))
    print(_verdict(found["ratio"] <= OVERHEAD_RATIO, f"at most {OVERHEAD_RATIO:.2f}"), flush=True)
    return found


def _verdict(met: bool, asked: str) -> str:
    return f"asked: {asked}; {'met' if met else 'NOT met'}"


def main() -> None:
    """Measure, print, and print the same as JSON on the last line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = ", ".join(f"{key}: {name}" for key, name in PARTS.items())
    parser.add_argument("--only", choices=PARTS, help=f"one part ({names})")
    parser.add_argument("--trials", type=int, help="at most so many in each part, to try it out")
    parser.add_argument("--repeats", type=int, default=throughput.REPEATS, help="of each side of b")
    parser.add_argument("--epochs", type=int, help="of each trial of b, to try it out")
    args = parser.parse_args()
    if args.trials is not None and args.trials < 2:
        parser.error("--trials: the first is left out of a, so at least 2")

    def at_most(trials: int) -> int:
        return min(trials, args.trials or trials)

    machine = describe_machine()
    print(machine_line(machine), flush=True)
    found: dict[str, Any] = {}
    for part in [args.only] if args.only else PARTS:
        print(f"\n{part}. {PARTS[part]}", flush=True)
        match part:
            case "a":
                found[PARTS[part]] = measure_start(at_most(start.TRIALS))
            case "b":
                found[PARTS[part]] = measure_rate(
                    at_most(throughput.TRIALS), args.repeats, args.epochs
                )
            case "c":
                found[PARTS[part]] = measure_memory(at_most(many_trials.TRIALS))
            case _:
                found[PARTS[part]] = measure_overhead(at_most(overhead.TRIALS))
    print(f"\n{json.dumps({'machine': machine, **found})}")


if __name__ == "__main__":
    main()
