"""Where a token is: fixed encodings, and the resizing of learned tables."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F


def sincos_1d(positions: Tensor, dim: int, *, base: float = 10_000.0, interleaved: bool = True) -> Tensor:
    """Sines and cosines of geometrically spaced frequencies.

    Args:    positions: (n,) real numbers; dim: d, even.
             base: the longest wavelength is nearly 2*pi*base.
             interleaved: sin, cos, sin, cos, ... (the paper); False = all sines, then all cosines (MAE, tensor2tensor).
    Returns: (n, d) float32.
    Source:  Vaswani et al. 2017, arXiv:1706.03762, sec. 3.5. Computed in float64, then rounded.
    """
    frequencies = base ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)  # d/2
    angles = positions.to(torch.float64)[:, None] * frequencies  # n d/2
    waves = torch.stack([angles.sin(), angles.cos()])  # two n d/2
    return rearrange(waves, "two n f -> n (f two)" if interleaved else "two n f -> n (two f)").float()


def sincos_2d(grid: tuple[int, int], dim: int, *, base: float = 10_000.0, interleaved: bool = False,
              x_first: bool = True) -> Tensor:
    """One half of the channels encodes the column x, the other half the row y.

    Args:    grid: (gy, gx); dim: d, a multiple of 4.
             interleaved: as in `sincos_1d`; x_first: the first half is x (MAE's code) or y.
    Returns: (gy*gx, d) float32, row-major, y outer.
    Source:  He et al. 2022 (MAE), arXiv:2111.06377, appendix A.1; its code puts x first, sines before cosines.
    """
    rows, columns = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    x, y = (sincos_1d(axis.flatten(), dim // 2, base=base, interleaved=interleaved) for axis in (columns, rows))
    return torch.cat([x, y] if x_first else [y, x], dim=-1)


def resize_table(table: Tensor, old_grid: tuple[int, int], new_grid: tuple[int, int], *, antialias: bool) -> Tensor:
    """Bicubic resizing of a learned position table to another patch grid, square or not.

    Args:    table: (1, gy*gx, d), patches only: prefix tokens are cut off before and put back after.
             antialias: smooth before shrinking (timm, DINOv2 with registers) or not (transformers' ViT and DINOv2).
    Returns: (1, new gy*gx, d); the same object when the grid is the same.
    Source:  Dosovitskiy et al. 2021, arXiv:2010.11929, sec. 3.2 (2-D interpolation when the resolution changes).
    """
    if old_grid == new_grid:
        return table
    picture = rearrange(table, "one (gy gx) d -> one d gy gx", gy=old_grid[0], gx=old_grid[1])
    resized = F.interpolate(picture, size=new_grid, mode="bicubic", align_corners=False, antialias=antialias)
    return rearrange(resized, "one d gy gx -> one (gy gx) d")
