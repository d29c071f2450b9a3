"""McNemar's test: do two recognisers differ, by the clips of which only one is right?"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binom, binomtest


@dataclass(frozen=True)
class McNemar:
    """The exact test (McNemar 1947) and its mid-p variant (Fagerland, Lydersen, Laake 2013).

    Attributes:
      only_first: clips of which the first alone is right (b).
      only_second: clips of which the second alone is right (c).
      p: two-sided, from the binomial distribution of b among b + c; 1 where both are 0.
      mid_p: p less the probability of exactly this b: less conservative.
    """

    only_first: int
    only_second: int
    p: float
    mid_p: float


def mcnemar(
    labels: npt.NDArray[np.integer], first: npt.NDArray[np.integer], second: npt.NDArray[np.integer]
) -> McNemar:
    """Test whether the two are right equally often; each int[n], clip for clip.

    Clips count as independent, which those of one subject are not: beside it belongs the paired
    subject bootstrap (`bootstrap.paired_differences`).
    """
    only_first = int(np.sum((first == labels) & (second != labels)))
    only_second = int(np.sum((first != labels) & (second == labels)))
    total = only_first + only_second
    if not total:
        return McNemar(0, 0, 1.0, 1.0)
    p = float(binomtest(only_first, total).pvalue)
    less = min(only_first, only_second)
    mid_p = 2 * binom.cdf(less, total, 0.5) - binom.pmf(less, total, 0.5)
    return McNemar(only_first, only_second, p, float(min(mid_p, 1.0)))
