"""Do the intervals hold? Coverage of a rate's interval, and the standard error of FID, against new samples.

    python benchmarks/interval_coverage.py

Rates: 220 clips with mirror images, 3 repeats, as in the default evaluation. FID: 440 motions of 128 features whose
real motions are those of the same clips, as in an evaluation split; the motions are Gaussian noise.
"""

import numpy as np
from scipy.special import stdtrit

from hmu_tasks.metrics.bootstrap import (
    influence_replicates,
    limits,
    mean_replicates,
    split_weights,
    standard_error,
)
from hmu_tasks.metrics.distribution import frechet_distance, frechet_influence

CLIPS, REPEATS, WIDTH = 220, 3, 128
CLUSTERS = np.arange(2 * CLIPS) // 2
SPECTRUM = np.sqrt(np.exp(-np.arange(WIDTH) / 15))


def rates(trials: int = 1000) -> dict[str, tuple[float, float]]:
    """Coverage and mean half width of both intervals of a rate of one half."""
    rng = np.random.default_rng(0)
    hits: dict[str, list[bool]] = {"Student's t over repeats": [], "crossed cluster bootstrap": []}
    halves: dict[str, list[float]] = {name: [] for name in hits}
    for trial in range(trials):
        clip = rng.standard_normal(CLIPS)[CLUSTERS]
        table = (clip + rng.standard_normal((REPEATS, 2 * CLIPS)) > 0).astype(float)
        means = table.mean(axis=1)
        half = stdtrit(REPEATS - 1, 0.975) * means.std(ddof=1) / REPEATS**0.5
        weights = split_weights("forget", clusters=CLIPS, repeats=REPEATS, seed=trial)
        found = limits(mean_replicates(table, CLUSTERS, weights))
        assert found is not None
        for name, (low, high) in zip(hits, ((means.mean() - half, means.mean() + half), found), strict=True):
            hits[name].append(low <= 0.5 <= high)
            halves[name].append((high - low) / 2)
    return {name: (float(np.mean(hits[name])), float(np.mean(halves[name]))) for name in hits}


def fid(scale: float, shift: float, trials: int = 200) -> dict[str, float]:
    """FID of new samples, its standard deviation, and both bootstrap standard errors of single samples."""
    rng = np.random.default_rng(1)

    def motions() -> np.ndarray:
        clip, own = (rng.standard_normal((n, WIDTH)) for n in (CLIPS, 2 * CLIPS))
        return (0.9 * clip[CLUSTERS] + 0.43 * own) * SPECTRUM

    def sample() -> tuple[np.ndarray, np.ndarray]:
        real = motions()
        return (0.6 * real + 0.8 * motions()) * scale + shift, real

    values = [frechet_distance(*sample()) for _ in range(trials)]
    weights = split_weights("forget", clusters=CLIPS, repeats=1, seed=0)
    by_influence, by_resampling, centres = [], [], []
    for _ in range(5):
        made, real = sample()
        own, other = frechet_influence(made, real)
        found = influence_replicates([frechet_distance(made, real)], (own + other)[None], CLUSTERS, weights)
        by_influence.append(standard_error(found))
        redone = []
        for _ in range(50):
            clips = rng.integers(0, CLIPS, CLIPS)
            rows = np.concatenate([2 * clips, 2 * clips + 1])
            redone.append(frechet_distance(made[rows], real[rows]))
        by_resampling.append(np.std(redone))
        centres.append(np.mean(redone))
    return {
        "mean": float(np.mean(values)),
        "sd": float(np.std(values)),
        "jackknife": float(np.mean(by_influence)),
        "resampled": float(np.mean(by_resampling)),
        "resampled mean": float(np.mean(centres)),
    }


if __name__ == "__main__":
    print("| interval of a rate | coverage, 95 % wanted | half width |\n|---|---:|---:|")
    for name, (coverage, width) in rates().items():
        print(f"| {name} | {coverage:.3f} | {width:.4f} |")
    print("\n| FID | mean | its standard deviation | jackknife SE | SE of recomputed FID | its mean |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, scale, shift in (("equal distributions", 1.0, 0.0), ("near", 1.05, 0.05), ("far", 1.2, 0.15)):
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in fid(scale, shift).values()) + " |")
