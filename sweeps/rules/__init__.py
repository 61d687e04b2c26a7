"""Which trials go on: rules that know values and epochs, and nothing of Ray, torch or Optuna.

A `StoppingRule` stops trials in the middle of their schedule (``fidelity: truncate``), a
`PromotionRule` lets them train complete schedules, longer and longer ones (``fidelity: stretch``).
A rule draws nothing at random and keeps no file: after a restart it is told again, trial by trial,
what the sweep's folder remembers, and decides as if it had never been away.
"""

from sweeps.rules.halving import SuccessiveHalving
from sweeps.rules.hyperband import HyperbandPromotion, HyperbandStopping, bracket_of
from sweeps.rules.median import MedianStopping
from sweeps.rules.promotion import SuccessivePromotion
from sweeps.rules.rule import (
    PROTECTED_TRIALS,
    NoStopping,
    PromotionRule,
    StoppingRule,
    rungs_below,
)

__all__ = [
    "PROTECTED_TRIALS",
    "HyperbandPromotion",
    "HyperbandStopping",
    "MedianStopping",
    "NoStopping",
    "PromotionRule",
    "StoppingRule",
    "SuccessiveHalving",
    "SuccessivePromotion",
    "bracket_of",
    "rungs_below",
]
