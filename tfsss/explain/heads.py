"""What each head is like: how far it looks, and how widely it spreads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from tfsss.explain.arrays import read_only
from tfsss.explain.attention import Trace


@dataclass(frozen=True, kw_only=True)
class Heads:
    """Two numbers per layer and head, and what a head that attends to everything alike would have."""

    distance: np.ndarray  # (l, h) float32, pixels of the picture that the model was fed
    entropy: np.ndarray  # (l, h) float32, bits
    uniform_distance: float
    uniform_entropy: float  # log2 n, the largest there is: entropy divided by it lies in 0..1


def heads(traced: Trace) -> Heads:
    """Attention distance and entropy of every head, averaged over the queries.

    Distance: from patch to patch, centre to centre, weighted by attention; queries and keys are patches only, and
    their weights are brought back to sum 1 (a patch that looks at prefix tokens alone does not count).
    Entropy: of the whole row, prefix tokens included, for all queries.

    Source: Dosovitskiy et al. 2021, arXiv:2010.11929, fig. 7 right (there averaged over 128 pictures).
    """
    weights = torch.tensor(traced.weights).float()  # l h n n
    between = torch.from_numpy(distances(traced.grid, traced.patch_size))
    patches = weights[..., traced.num_prefix:, traced.num_prefix:]
    sums = patches.sum(dim=-1)
    lengths = torch.einsum("lhmn,mn->lhm", patches, between) / sums  # NaN where a row has nothing on patches
    entropy = torch.special.entr(weights).sum(dim=-1).mean(dim=-1) / np.log(2)
    return Heads(distance=read_only(lengths.nanmean(dim=-1)), entropy=read_only(entropy),
                 uniform_distance=float(between.mean()), uniform_entropy=float(np.log2(weights.shape[-1])))


def distances(grid: tuple[int, int], patch_size: int) -> np.ndarray:
    """Pixels between the centres of each two patches: (gy*gx, gy*gx) float32."""
    centres = np.stack(np.divmod(np.arange(grid[0] * grid[1]), grid[1]), axis=-1) * np.float32(patch_size)
    return np.linalg.norm(centres[:, None] - centres[None], axis=-1).astype(np.float32)
