"""The part of docs/performance.md on training loops, from what `benchmarks.loop` has measured."""

from typing import Any

from benchmarks.loop_growth import CONTROL, above, growth, noise
from benchmarks.loop_task import Task
from benchmarks.markdown import origin, table
from benchmarks.spread import spread

ASKED_US, STEP_US = 50, 5000
"""Most microseconds of our loop above bare; a realistic step."""

_TEXT = """\
## The loop

Microseconds per step above a bare loop (forward, loss, backward, step): one tiny model of
{tensors} parameter tensors, the same batches of {batch_size}, one fused SGD, one thread; every side
in a process of its own, in which a bare loop takes a step after each of its steps; {rounds} times
in turns, {steps} steps each. Loss and top-1 are tracked and logged as each side does by default, no
checkpoints. The bare loop takes
{bare} us of CPU time; `tensor + 1` on the same thread takes
{yardstick} us, which says how fast the machine was just then.

{main}

*CPU us above bare*: each step less the bare step before it, of which the median, less the same of
a bare loop as a side ({noise} us); of those the median of the rounds, in parentheses
their quartiles. *least*: of the rounds.
*all steps*: the mean step likewise, which lines of a log and bars belong to. *of bare at 5 ms*:
speed against a bare loop whose step takes 5 ms, 5000 / (5000 + median). `fit` tracks the loss of
every step, and top-1 on the validation split; the side with *training top-1* counts it in every
batch too. timm's script tracks the loss alone. Asked of ours: at most {asked} us with loss, top-1
and logging; {verdict}. {same}

{growth}
{origin}
"""


def section(result: dict[str, Any]) -> str:
    """Markdown."""
    sides, task = result["sides"], result["task"]
    bare = spread([one["cpu"] for one in sides[CONTROL]])
    ordered = sorted(sides, key=lambda name: above(sides, name).median)
    return _TEXT.format(
        tensors=len(list(Task().model().parameters())),
        batch_size=task["batch_size"],
        rounds=len(next(iter(sides.values()))),
        steps=task["steps"] - task["warmup_steps"],
        bare=bare.text(),
        yardstick=spread(
            [one["yardstick"] for answers in sides.values() for one in answers]
        ).text(2),
        main=table(
            ["loop", "CPU us above bare", "least", "all steps", "wall us above bare",
             "of bare at 5 ms"],
            [_row(name, sides) for name in ordered if name != CONTROL],
        ),
        asked=ASKED_US,
        verdict=verdict(sides),
        same=_same(sides),
        noise=noise(sides).text(),
        growth=growth(result),
        origin=origin(result),
    )  # fmt: skip


def _row(name: str, sides: dict[str, Any]) -> list[str]:
    cpu = above(sides, name)
    return [
        name,
        cpu.text(),
        f"{cpu.least:.0f}",
        f"{above(sides, name, 'cpu_mean').median:.0f}",
        above(sides, name, "wall").text(),
        f"{STEP_US / (STEP_US + cpu.median):.3f}",
    ]


def verdict(sides: dict[str, Any]) -> str:
    """Whether ours costs what was asked; not decided where two bare loops differ by as much."""
    if not {CONTROL, "fit, training top-1"} <= sides.keys():
        return "not measured"
    bare, ours = noise(sides), above(sides, "fit, training top-1")
    if max(abs(bare.low), abs(bare.high)) > ASKED_US:
        return (
            f"not decided, since a bare loop as a side comes out at {bare.text()} us: what else "
            "the machine does has disturbed this run by more than that"
        )
    return "met" if ours.median <= ASKED_US else "not met here"


def _same(sides: dict[str, Any]) -> str:
    """Whether all have trained the same: their mean losses are sums of the same numbers."""
    losses = {name: answers[0].get("loss") for name, answers in sides.items()}
    known = [loss for loss in losses.values() if loss is not None]
    apart = max(known) - min(known)
    return f"The sides' mean losses lie within {apart:.1g} of one another."
