"""The parts of docs/performance.md on sweeps, from what `benchmarks.sweep` has measured."""

from typing import Any

from benchmarks import many_trials, overhead, start, throughput
from benchmarks.markdown import origin

PARTS = {"a": "start", "b": "rate", "c": "memory", "d": "overhead"}
START_RATIO, ONE_SLOT_RATIO, TWO_SLOTS_RATIO, GROWTH_MB = 20, 0.8, 1.0, 100
OVERHEAD_RATIO = 1.10
"""Asked of ours, at least, at least, more than, at most, at most."""

_VERDICTS = {
    True: "met",
    False: "not met here",
    None: "not decided by a run that is cut short, in which start and end weigh more",
}
_TITLES = {
    "a": "Start of a trial",
    "b": "Trials per minute",
    "c": "The driver's memory",
    "d": "A sweep of short trials against its trainings alone",
}
_TEXT = """\
## {title}

```
{lines}
```

Asked: {asked}; {verdict}.

{origin}
"""


def section(part: str, result: dict[str, Any]) -> str:
    """Markdown of one part, by its letter."""
    lines, asked, met = _found(part, result)
    verdict = _VERDICTS[met if is_whole(part, result) else None]
    return _TEXT.format(
        title=_TITLES[part],
        lines="\n".join(lines),
        asked=asked,
        verdict=verdict,
        origin=origin(result),
    )


def is_whole(part: str, result: dict[str, Any]) -> bool:
    """Whether as much was measured as decides on what was asked."""
    match part:
        case "a":
            return all(len(values) >= start.TRIALS - 1 for values in result["seconds"].values())
        case "b":
            bare = result["sides"][throughput.BARE][0]
            trials = len(bare["val_accuracy"])
            return result["epochs"] is None and trials >= throughput.TRIALS
        case "c":
            return result["samples"][-1]["trials"] >= many_trials.TRIALS
        case _:
            return result["trials"] >= overhead.TRIALS


def _found(part: str, result: dict[str, Any]) -> tuple[list[str], str, bool]:
    """What was measured, what was asked, and whether that is met."""
    match part:
        case "a":
            seconds = result["seconds"]
            asked = f"at least {START_RATIO} times as soon"
            return start.lines(seconds), asked, start.ratio(seconds) >= START_RATIO
        case "b":
            sides = result["sides"]
            one, two = throughput.ratios(sides).values()
            asked = f"at least {ONE_SLOT_RATIO:g} with one slot, above {TWO_SLOTS_RATIO:g} with two"
            met = one >= ONE_SLOT_RATIO and two > TWO_SLOTS_RATIO
            return throughput.lines(sides), asked, met
        case "c":
            growth_mb = many_trials.growth_bytes(result) / many_trials.MEGABYTE
            return many_trials.lines(result), f"within {GROWTH_MB} MB", growth_mb <= GROWTH_MB
        case _:
            asked = (
                f"at most {OVERHEAD_RATIO:.2f} of the trainings alone, of {overhead.TRIALS} trials"
            )
            return overhead.lines(result), asked, result["ratio"] <= OVERHEAD_RATIO
