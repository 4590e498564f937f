"""Which patches a masked autoencoder sees: noise ranks them, the shuffle follows, and not every mask is random.

Everything goes through one number per patch: the quietest patches are kept. Random masking draws the noise, grid
masking computes it, and a given mask is turned into noise by `noise_from_mask`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from einops import rearrange, repeat
from torch import Tensor


class Shuffle(NamedTuple):
    """The way there and back, for n patches of which k are kept."""

    noise: Tensor  # (b, n)
    ids_shuffle: Tensor  # (b, n) int64: which patch goes to each place, quietest first
    ids_restore: Tensor  # (b, n) int64: to which place each patch went, the inverse permutation
    ids_keep: Tensor  # (b, k) int64: the first k of ids_shuffle
    mask: Tensor  # (b, n) float32; 0 = kept, 1 = removed


def shuffle_by(noise: Tensor, num_keep: int) -> Shuffle:
    """Sort the patches by noise and keep the first.

    Sorting a permutation inverts it: `ids_shuffle` holds each patch number once, so where its argsort says "the
    smallest, patch 0, stands at place p", it says to which place patch 0 went.

    Args:    noise: (b, n), any real numbers; num_keep: k, from 0 (nothing to see) to n (nothing to guess).
    Source:  He et al. 2022 (MAE), arXiv:2111.06377, sec. 3, "Simple implementation".
    """
    ids_shuffle = noise.argsort(dim=1, stable=True)
    ids_restore = ids_shuffle.argsort(dim=1)
    mask = (ids_restore >= num_keep).float()
    return Shuffle(noise, ids_shuffle, ids_restore, ids_shuffle[:, :num_keep], mask)


def take(tokens: Tensor, ids: Tensor) -> Tensor:
    """Row by row the tokens with these numbers.  Args: tokens: (b, n, d); ids: (b, k).  Returns: (b, k, d)."""
    return tokens.gather(1, repeat(ids, "b k -> b k d", d=tokens.shape[-1]))


def count_kept(num_patches: int, ratio: float) -> int:
    """How many patches are left of n when a ratio in [0, 1] is removed.

    Source:  MAE's code, which rounds n * (1 - ratio) down. Differs: a product that only misses a whole number by the
             rounding of floats counts as that number (10 patches less 90 % are 1; in MAE's code 0).
    """
    return math.floor(num_patches * (1 - ratio) + 1e-6)


def grid_noise(grid: tuple[int, int], offset: tuple[int, int] = (0, 0)) -> Tensor:
    """Noise for regular masks: keeping a quarter keeps every second patch of every second row, a half a chequerboard.

    Args:    grid: (gy, gx); offset: (y, x) by which the pattern is shifted.
    Returns: (gy*gx,) float32 in [0, 1), no two equal.
    Source:  Bayer 1973, the matrix of ordered dithering; at 75 % removed He et al. 2022, arXiv:2111.06377, fig. 6,
             "grid". Differs: defined for any ratio.
    """
    bits = max(1, (max(grid) - 1).bit_length())
    rows, columns = torch.meshgrid(torch.arange(grid[0]) + offset[0], torch.arange(grid[1]) + offset[1], indexing="ij")
    rank = torch.zeros(grid, dtype=torch.int64)
    for bit in range(bits):  # the lowest bits of the coordinates decide most
        y, x = rows >> bit & 1, columns >> bit & 1
        rank = 4 * rank + 2 * (x ^ y) + y
    return rearrange(rank / 4**bits, "gy gx -> (gy gx)")


def block_mask(grid: tuple[int, int], ratio: float, generator: torch.Generator) -> Tensor:
    """Rectangles of random size and shape, until enough patches are removed.

    Args:    grid: (gy, gx); ratio: share to remove; generator: draws areas, shapes and places.
    Returns: (gy*gx,) boolean; True = removed.
    Source:  Bao et al. 2022 (BEiT), arXiv:2106.08254, alg. 1: areas from 16 patches (of 196) to what is missing, sides
             in proportions from 0.3 to 1/0.3. Differs: every rectangle covers at least one patch that is still
             visible, and the last gives back what is too many, so that the ratio is met exactly.
    """
    def uniform(low: float, high: float) -> float:
        return torch.empty(()).uniform_(low, high, generator=generator).item()

    gy, gx = grid
    missing = gy * gx - count_kept(gy * gx, ratio)
    smallest = max(1, gy * gx * 16 // 196)
    removed = torch.zeros(gy, gx, dtype=torch.bool)
    while missing:
        area, shape = uniform(smallest, max(smallest, missing)), math.exp(uniform(math.log(0.3), -math.log(0.3)))
        height, width = (min(side, max(1, round(length))) for side, length in
                         ((gy, math.sqrt(area * shape)), (gx, math.sqrt(area / shape))))
        visible = (~removed).nonzero()
        y, x = visible[int(uniform(0, len(visible) - 1e-3))].tolist()
        top = min(max(0, y - int(uniform(0, height))), gy - height)
        left = min(max(0, x - int(uniform(0, width))), gx - width)
        block = torch.zeros_like(removed)
        block[top:top + height, left:left + width] = True
        fresh = (block & ~removed).nonzero()[:missing]
        removed[fresh[:, 0], fresh[:, 1]] = True
        missing -= len(fresh)
    return rearrange(removed, "gy gx -> (gy gx)")


def noise_from_mask(mask: Tensor) -> Tensor:
    """Noise that removes exactly these patches when as many are kept as the mask keeps.

    Args:    mask: (..., n) boolean; True = removed.
    Returns: (..., n) float32: kept patches below 0.5, removed ones above, both in the order of their numbers.
    """
    return (mask + torch.arange(mask.shape[-1]) / mask.shape[-1]) / 2
