"""Detection of codebook rows that an edit wrote, from the codebook alone, without the original.

Rows that training made lie in the few directions in which motion varies, and no two of them are the same. Rows that an
edit wrote are copies of one target, or the target plus noise that is as strong in every other direction.
"""

import torch
from torch import Tensor

# A row closer than this to another one, in median distances to the nearest row, counts as its copy.
COPY = 0.1
# Share of pure noise's roughness from which a row counts as noisy. In the codebooks that the embedded benchmark trains,
# rows stay at or below 0.20; those of LCR, with a noise scale of 0.05 or more around the retain mean, lie above 0.24.
ROUGH = 0.22
# If noise is not much rougher than the median row, or more than this share of rows is noisy, roughness is not used.
CONTRAST = 10.0
BELIEVABLE = 1 / 3


def odd_rows(book: Tensor) -> Tensor:
    """Mark the outlier rows of a layer's codebook; book: [K, C] -> [K] booleans.

    Nothing about the edit is known: neither whether there was one, nor how many rows, nor the target.
    """
    rows = book.detach().cpu().double()
    if len(rows) < 2:
        return torch.zeros(len(rows), dtype=torch.bool)
    return copies(rows) | noisy(rows)


def copies(rows: Tensor) -> Tensor:
    """Mark rows that (nearly) equal another one; rows: [K, C] -> [K] booleans."""
    # Differences instead of products of rows, which would lose small distances.
    distance = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")
    nearest = distance.fill_diagonal_(torch.inf).amin(dim=1)
    return nearest < COPY * nearest.median()


def noisy(rows: Tensor, *, rounds: int = 10, ridge: float = 1e-3) -> Tensor:
    """Mark rows that vary in directions where the others do not; rows: [K, C] -> [K] booleans.

    A row z, taken from the mean, is as rough as r = (zᵀ Σ⁻¹ z) / (zᵀ z), with the covariance Σ of the smoother half of
    the rows, found iteratively (the concentration steps of Rousseeuw and Van Driessen 1999) so that edited rows do
    not enter it. Noise of equal strength in all directions has r = tr(Σ⁻¹) / C. ridge: added to Σ, in mean variances.
    """
    used = torch.arange(len(rows))
    width = rows.shape[1]
    for _ in range(rounds):
        centred = rows - rows[used].mean(dim=0)
        covariance = centred[used].T @ centred[used] / len(used)
        scale = covariance.trace() / width
        if scale == 0:  # half of the rows are the same: copies, which `copies` finds
            return torch.zeros(len(rows), dtype=torch.bool)
        inverse = torch.linalg.inv(covariance / scale + ridge * torch.eye(width, dtype=rows.dtype))
        energy = centred.square().sum(dim=1)
        roughness = (centred @ inverse * centred).sum(dim=1) / energy.clamp(min=1e-12 * float(scale))
        smoother = roughness.argsort(stable=True)[: len(rows) // 2].sort().values
        if torch.equal(smoother, used):
            break
        used = smoother
    noise = inverse.trace() / width
    found: Tensor = roughness > ROUGH * noise
    tells = noise > CONTRAST * roughness.median() and found.double().mean() <= BELIEVABLE
    return found if tells else torch.zeros_like(found)
