"""The rules that `benchmarks.search` tries, by the words of a sweep file."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.search_replay import Curves, Replay, replay_complete, replay_truncated
from benchmarks.search_tasks import NUM_EPOCHS
from sweeps.rules import (
    HyperbandPromotion,
    HyperbandStopping,
    MedianStopping,
    NoStopping,
    PromotionRule,
    StoppingRule,
    SuccessiveHalving,
    SuccessivePromotion,
)

MANY_SLOTS = 4

Settings = tuple[int, int] | tuple[int, int, int]
"""Grace period in epochs, reduction factor and, if limited, the number of rungs."""

_WITH_MANY_SLOTS: tuple[Settings, ...] = ((1, 3), (3, 3, 1))
_TRUNCATED: tuple[Settings, ...] = (
    *((1, 3), (3, 2), (3, 3), (6, 3), (9, 3)),
    *((1, 3, 1), (3, 3, 1), (3, 4, 1), (6, 3, 1), (9, 4, 1), (9, 6, 1)),
    (3, 2, 2),
)
_STRETCHED: tuple[Settings, ...] = (  # rungs at 1, 3 and 9 epochs only: no others are recorded
    *((1, 3), (3, 3), (9, 3), (3, 9)),
    *((1, 2, 1), (1, 3, 1), (3, 2, 1), (3, 3, 1), (3, 4, 1), (9, 4, 1), (9, 6, 1), (9, 8, 1)),
    (1, 3, 2),
)


@dataclass(frozen=True)
class Candidate:
    """A rule with its settings.

    Attributes:
        name: fidelity, kind, grace period, reduction factor, slots where they matter.
        run: Replays a sweep with a fresh rule.
    """

    name: str
    run: Callable[[Sequence[Curves]], Replay]


def candidates() -> list[Candidate]:
    """All of them.

    With epochs of one length, trials reach a rung in the order they began, whatever the number of
    slots; so rules that truncate decide alike with one slot and with many, and are run with one.
    """
    return [*_truncating(), *_stretching()]


def _truncating() -> Iterator[Candidate]:
    def candidate(name: str, rule: Callable[[], StoppingRule]) -> Candidate:
        return Candidate(f"truncate, {name}", lambda trials: replay_truncated(rule(), trials, 1))

    yield candidate("nothing stops", NoStopping)
    for settings in _TRUNCATED:
        rule = partial(SuccessiveHalving, **_arguments(*settings))
        yield candidate(f"asha {_words(*settings)}", rule)
    for grace in (1, 3):
        rule = partial(HyperbandStopping, num_epochs=NUM_EPOCHS, **_arguments(grace, 3))
        yield candidate(f"hyperband {_words(grace, 3)}", rule)
    for grace in (1, 3, 9):
        rule = partial(MedianStopping, grace_epochs=grace, min_trials=4, maximize=True)
        yield candidate(f"median {grace}ep", rule)


def _stretching() -> Iterator[Candidate]:
    def candidate(name: str, rule: Callable[[], PromotionRule], slots: int) -> Candidate:
        name = f"stretch, {name}" + ("" if slots == 1 else f", {slots} slots")
        return Candidate(name, lambda trials: replay_complete(rule(), trials, slots))

    for settings in _STRETCHED:
        rule = partial(SuccessivePromotion, **_arguments(*settings))
        for slots in (1, MANY_SLOTS) if settings in _WITH_MANY_SLOTS else (1,):
            yield candidate(f"asha {_words(*settings)}", rule, slots)
    for grace in (1, 3):
        rule = partial(HyperbandPromotion, num_epochs=NUM_EPOCHS, **_arguments(grace, 3))
        yield candidate(f"hyperband {_words(grace, 3)}", rule, 1)


def _arguments(grace: int, factor: int, max_rungs: int | None = None) -> dict[str, Any]:
    limit = {} if max_rungs is None else {"max_rungs": max_rungs}
    return {"grace_epochs": grace, "reduction_factor": factor, "maximize": True, **limit}


def _words(grace: int, factor: int, max_rungs: int | None = None) -> str:
    return f"{grace}ep 1/{factor}" + {None: "", 1: " once", 2: " twice"}[max_rungs]
