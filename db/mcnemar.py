"""McNemar's test: whether one of two classifiers is better on the same examples by more than chance."""

from math import exp, fsum, lgamma, log


def mcnemar_p(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value, given how many examples only the first and only the second gets right.

    Were both equally good, each of these examples would fall to either with probability 1/2: p is twice the
    binomial's lower tail at the smaller count, and at most 1. Source: Q. McNemar, Note on the sampling error of the
    difference between correlated proportions or percentages, Psychometrika 12 (1947), 153-157; the exact form of
    his test is the sign test on the discordant pairs.
    """
    discordant, smaller = only_first + only_second, min(only_first, only_second)
    tail = fsum(exp(_log_choose(discordant, count) - discordant * log(2)) for count in range(smaller + 1))
    return min(1.0, 2 * tail)


def _log_choose(of: int, count: int) -> float:
    # In logarithms: the coefficients of some thousands of examples are beyond any float.
    return lgamma(of + 1) - lgamma(count + 1) - lgamma(of - count + 1)
