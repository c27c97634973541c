"""Score intervals of shares, for what a bootstrap cannot tell: shares of 0 and 1, and single success rates."""

from dataclasses import dataclass

from scipy.special import ndtri


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence limits; n: prompts (or clips) behind it."""

    mean: float
    low: float
    high: float
    n: int


def wilson_interval(successes: float, n: int, *, level: float = 0.95) -> Interval:
    """Return a share with Wilson's score interval (Wilson 1927); sound near 0 and 1 and for small n."""
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"wilson_interval: {successes} successes of {n}")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level}; it must lie between 0 and 1")
    z = float(ndtri(0.5 + level / 2.0))
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return Interval(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)), n)


def difference_of_shares(one: Interval, other: Interval) -> Interval:
    """Return one share minus another with Newcombe's hybrid score interval (Newcombe 1998, method 10)."""
    mean = one.mean - other.mean
    below = ((one.mean - one.low) ** 2 + (other.high - other.mean) ** 2) ** 0.5
    above = ((one.high - one.mean) ** 2 + (other.mean - other.low) ** 2) ** 0.5
    return Interval(mean, mean - below, mean + above, min(one.n, other.n))
