"""How sure the figures of a sample are: intervals that hold the true value in 95 of 100 samples, and a paired test.

Sources: Wilson, J. Am. Stat. Assoc. 22 (1927) 209; order statistics for quantiles: Conover, Practical Nonparametric
Statistics, section 3.2; the exact form of McNemar's test is the sign test on the pairs that differ.
"""

import math

_Z95 = 1.959963984540054


def wilson(right: int, of: int) -> tuple[float, float]:
    """The interval of a rate, from 0 to 1; of nothing, all of it."""
    if of == 0:
        return 0.0, 1.0
    rate, square = right / of, _Z95 * _Z95
    centre = (rate + square / (2 * of)) / (1 + square / of)
    half = _Z95 / (1 + square / of) * math.sqrt(rate * (1 - rate) / of + square / (4 * of * of))
    return max(0.0, centre - half), min(1.0, centre + half)


def quantile(values: list[float], q: float) -> float:
    """The q-quantile: the smallest value that at least so great a part of all is not above; NaN of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else math.nan


def quantile_interval(values: list[float], q: float) -> tuple[float, float]:
    """The interval of a quantile between two of the values; the least or the greatest where there are too few."""
    ordered, n = sorted(values), len(values)
    if not n:
        return math.nan, math.nan
    # So many of the values are below the quantile with this probability: binomial, summed from below.
    low, high, below = 0, n - 1, 0.0
    for count in range(n + 1):
        below += _binomial(count, n, q)
        if below <= 0.025:
            low = count
        if below >= 0.975:
            high = min(count, n - 1)
            break
    return ordered[min(low, n - 1)], ordered[high]


def mcnemar(only_first: int, only_second: int) -> float:
    """How often two equally good systems differ at least so much, exact and two-sided: cases that only one solved."""
    n = only_first + only_second
    if n == 0:
        return 1.0
    tail = sum(_binomial(count, n, 0.5) for count in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail)


def _binomial(count: int, n: int, p: float) -> float:
    # In logarithms: the coefficients of a thousand cases are no floats.
    ways = math.lgamma(n + 1) - math.lgamma(count + 1) - math.lgamma(n - count + 1)
    return math.exp(ways + count * math.log(p) + (n - count) * math.log1p(-p))
