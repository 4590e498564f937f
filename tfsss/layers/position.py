"""Where a token is: encodings added to tokens, rotations of queries and keys, and biases added to scores."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F


def frequencies(dim: int, base: float = 10_000.0) -> Tensor:
    """The d/2 angular frequencies, falling geometrically from 1 to nearly 1/base.

    Args:    dim: d, even; base: the longest wavelength is nearly 2*pi*base.
    Returns: (d/2,) float64, in radians per position.
    Source:  Vaswani et al. 2017, arXiv:1706.03762, sec. 3.5; Su et al. 2021 (RoFormer), arXiv:2104.09864, eq. 15.
    """
    return base ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)


def sincos_1d(positions: Tensor, dim: int, *, base: float = 10_000.0, interleaved: bool = True) -> Tensor:
    """Sines and cosines of geometrically spaced frequencies.

    Args:    positions: (n,) real numbers; dim: d, even.
             base: the longest wavelength is nearly 2*pi*base.
             interleaved: sin, cos, sin, cos, ... (the paper); False = all sines, then all cosines (MAE, tensor2tensor).
    Returns: (n, d) float32.
    Source:  Vaswani et al. 2017, arXiv:1706.03762, sec. 3.5. Computed in float64, then rounded. Differs: tensor2tensor
             spaces its frequencies so that the last is exactly 1/base.
    """
    angles = positions.to(torch.float64)[:, None] * frequencies(dim, base)  # n d/2
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


def rotate(x: Tensor, positions: Tensor, *, base: float = 10_000.0,
           pairing: Literal["interleaved", "halves"] = "interleaved") -> Tensor:
    """Rotary encoding: turns every pair of channels by its position times the pair's frequency.

    Called on queries and on keys, before their product, so that the score of a pair depends on its distance only.

    Args:    x: (..., n, e), queries or keys, e even; positions: (n,) real numbers.
             pairing: which channels form a pair. "interleaved" = 0 with 1, 2 with 3, ... (RoFormer, GPT-J);
             "halves" = 0 with e/2, 1 with e/2 + 1, ... (GPT-NeoX, LLaMA). Weights made for one fail in the other.
    Returns: (..., n, e), of the same length per pair as before.
    Source:  Su et al. 2021, arXiv:2104.09864, eq. 34. Angles in float64, as `sincos_1d`.
    """
    angles = positions.to(torch.float64)[:, None] * frequencies(x.shape[-1], base)  # n e/2
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    pattern = "... n (f two) -> two ... n f" if pairing == "interleaved" else "... n (two f) -> two ... n f"
    first, second = rearrange(x, pattern, two=2)
    turned = torch.stack([first * cos - second * sin, first * sin + second * cos])
    back = "two ... n f -> ... n (f two)" if pairing == "interleaved" else "two ... n f -> ... n (two f)"
    return rearrange(turned, back)


def alibi_slopes(num_heads: int) -> Tensor:
    """How fast each head's score falls with distance.

    Args:    num_heads: h.
    Returns: (h,) float32; for a power of two 2^(-8/h), 2^(-16/h), ..., 2^-8.
    Source:  Press et al. 2022 (ALiBi), arXiv:2108.12409, sec. 3. For other h as the released code does: the slopes of
             the next lower power of two, then every second one of its double, from the first.
    """
    power = 2 ** math.floor(math.log2(num_heads))
    slopes = [2 ** (-8 * (head + 1) / power) for head in range(power)]
    between = [2 ** (-4 * (head + 1) / power) for head in range(0, 2 * power, 2)]
    return torch.tensor((slopes + between)[:num_heads])


def alibi_bias(num_heads: int, length: int, *, symmetric: bool = False) -> Tensor:
    """Attention with linear biases: minus slope times distance, added to the scores.

    Args:    num_heads: h; length: n.
             symmetric: False = slope * (key - query), as in the paper: keys ahead of the query get a positive number,
             and the causal mask must block them; True = -slope * |query - key|, for encoders.
    Returns: (h, n, n) float32, query down, key across.
    Source:  Press et al. 2022, arXiv:2108.12409, sec. 3. Implementations that add slope * key (Bloom) differ by a
             constant in each row, which softmax does not see.
    """
    steps = torch.arange(length)
    offsets = (steps[None, :] - steps[:, None]).float()  # query key
    if symmetric:
        offsets = -offsets.abs()
    return alibi_slopes(num_heads)[:, None, None] * offsets


class RelativeIndex(NamedTuple):
    """`relative_position_index`, step by step; n = wy*wx tokens of a window, row-major; the last axis is (y, x)."""

    coordinates: Tensor  # (n, 2): row and column of every token
    offsets: Tensor  # (n, n, 2): query's minus key's, from -(w - 1) to w - 1
    shifted: Tensor  # (n, n, 2): from 0 to 2w - 2
    scaled: Tensor  # (n, n, 2): y times the 2*wx - 1 columns of the table
    index: Tensor  # (n, n): y + x, a different number for every different offset


def relative_position_steps(window: tuple[int, int]) -> RelativeIndex:
    """Where in the bias table each pair of a window's tokens looks.

    Args:    window: (wy, wx).
    Returns: every step of the derivation, int64; `index` is Swin's `relative_position_index`.
    Source:  Liu et al. 2021 (Swin), arXiv:2103.14030, eq. 4 and its released code.
    """
    rows, columns = torch.meshgrid(torch.arange(window[0]), torch.arange(window[1]), indexing="ij")
    coordinates = torch.stack([rows.flatten(), columns.flatten()], dim=-1)  # n two
    offsets = coordinates[:, None] - coordinates[None, :]  # n n two
    shifted = offsets + torch.tensor([window[0] - 1, window[1] - 1])
    scaled = shifted * torch.tensor([2 * window[1] - 1, 1])
    return RelativeIndex(coordinates, offsets, shifted, scaled, scaled.sum(dim=-1))


def gather_relative_bias(table: Tensor, index: Tensor) -> Tensor:
    """One number per pair and head.  Args: table: (rows, h); index: (n, n).  Returns: (h, n, n)."""
    return rearrange(table[index], "m n h -> h m n")


class RelativePositionBias(nn.Module):
    """Swin's learned bias: one number per head for every offset that two tokens of a window can have.

    Args:    window: (wy, wx); num_heads: h.
    Returns: forward gives (h, n, n), n = wy*wx, to be added to the scores.
    Source:  Liu et al. 2021, arXiv:2103.14030, eq. 4. State-dict key `relative_position_bias_table`; the index follows
             from the window and is not saved (older checkpoints carry it: leave it out).
    """

    def __init__(self, window: tuple[int, int], num_heads: int):
        super().__init__()
        rows = (2 * window[0] - 1) * (2 * window[1] - 1)
        self.relative_position_bias_table = nn.Parameter(nn.init.trunc_normal_(torch.empty(rows, num_heads), std=0.02))
        self.register_buffer("relative_position_index", relative_position_steps(window).index, persistent=False)

    def forward(self) -> Tensor:
        return gather_relative_bias(self.relative_position_bias_table, self.relative_position_index)
