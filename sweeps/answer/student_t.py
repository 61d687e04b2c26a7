"""Quantiles of Student's t distribution, computed here since SciPy is no dependency."""

import math
from functools import lru_cache
from statistics import NormalDist

_MOST_EXACT_DF = 1e4
_SMALLEST = 1e-300


CONFIDENCE = 0.95
"""Of every interval, unless told otherwise."""


@lru_cache
def student_t_quantile(df: float, confidence: float = CONFIDENCE) -> float:
    """The t with P(-t < T < t) = ``confidence``, to 1e-6 or better.

    Args:
        df: Degrees of freedom, at least 1, whole or not.
        confidence: Above 0, below 1.

    Raises:
        ValueError: If either is out of range.
    """
    if not df >= 1:
        raise ValueError(f"degrees of freedom must be at least 1, got {df}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be above 0 and below 1, got {confidence}")
    if df > _MOST_EXACT_DF:
        # The next term is below 1e-10 here. Abramowitz & Stegun 1964, 26.7.5.
        z = NormalDist().inv_cdf((1 + confidence) / 2)
        return z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2)
    low, high = 0.0, 1.0
    while _probability_beyond(high, df) > 1 - confidence:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        if _probability_beyond(middle, df) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _probability_beyond(t: float, df: float) -> float:
    """P(abs(T) > t). Abramowitz & Stegun 1964, 26.7.1 and 26.5.27."""
    return _incomplete_beta(df / (df + t * t), df / 2, 0.5)


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """Regularised, I_x(a, b), by its continued fraction. Press et al. 2007, section 6.4."""
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on the other side only
        return 1 - _incomplete_beta(1 - x, b, a)
    if x == 0:
        return 0.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(log_front + a * math.log(x) + b * math.log1p(-x)) / a
    fraction, c, d = 1.0, 1.0, 0.0
    for step in range(1000):
        half = step // 2
        if step == 0:
            factor = 1.0
        elif step % 2 == 0:
            factor = half * (b - half) * x / ((a + step - 1) * (a + step))
        else:
            factor = -(a + half) * (a + b + half) * x / ((a + step - 1) * (a + step))
        d = 1 / (1 + factor * d or _SMALLEST)
        c = 1 + factor / c or _SMALLEST
        fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            return front * (fraction - 1)
    raise ArithmeticError(f"I_x(a, b) did not converge at x={x}, a={a}, b={b}")
