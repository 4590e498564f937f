"""Windows on a map of tokens: cutting, shifting, and who may attend to whom after the shift.

In this file p and q are the row and column inside a window, and a map is always (b, gy, gx, d).
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Zeros at the right and at the bottom, until both sides of the map are multiples.

    Args:    x: (b, gy, gx, d).
    Returns: (b, gy', gx', d); the same numbers where nothing is missing.
    """
    gy, gx = x.shape[1:3]
    return F.pad(x, (0, 0, 0, -gx % multiple, 0, -gy % multiple))


def partition(x: Tensor, window: int) -> Tensor:
    """Cut a map into windows that do not overlap.

    Args:    x: (b, gy, gx, d), both sides multiples of `window`.
    Returns: (b*w, n, d); windows row by row, and in each its n = window^2 tokens row by row.
    Source:  Liu et al. 2021 (Swin), arXiv:2103.14030, sec. 3.2.
    """
    return rearrange(x, "b (wy p) (wx q) d -> (b wy wx) (p q) d", p=window, q=window)


def reverse(windows: Tensor, window: int, grid: tuple[int, int]) -> Tensor:
    """The inverse of `partition`.  Args: windows: (b*w, n, d); grid: (gy, gx).  Returns: (b, gy, gx, d)."""
    wy, wx = grid[0] // window, grid[1] // window
    return rearrange(windows, "(b wy wx) (p q) d -> b (wy p) (wx q) d", wy=wy, wx=wx, p=window, q=window)


def cyclic_shift(x: Tensor, shift: int) -> Tensor:
    """Roll a map up and to the left; what leaves comes back at the other side.  A negative shift rolls it back."""
    return x.roll((-shift, -shift), dims=(1, 2))


def region_ids(grid: tuple[int, int], window: int, shift: int) -> Tensor:
    """Which part of the picture stands where on the *rolled* map.

    Rolling brings tokens of opposite borders into one window, the last of its row or column. Three bands for each axis
    tell them apart: 0 = every window but the last, 1 = of the last window what was there before, 2 = what came round.

    Args:    grid: (gy, gx), multiples of `window`; shift: by how much the map was rolled, from 0 to window - 1.
    Returns: (gy, gx) int64 from 0 to 8: three times the row's band plus the column's.
    Source:  Liu et al. 2021, arXiv:2103.14030, fig. 4 and its released code.
    """
    def bands(side: int) -> Tensor:
        places = torch.arange(side)
        return (places >= side - window).long() + (places >= side - shift).long()

    return 3 * bands(grid[0])[:, None] + bands(grid[1])[None, :]


def real_places(grid: tuple[int, int], padded: tuple[int, int], shift: int) -> Tensor:
    """Which places of the rolled map hold a token of the picture.

    Args:    grid: (gy, gx) of the picture; padded: (gy, gx) after `pad_to_multiple`.
    Returns: (gy, gx) boolean; True = token, False = padding.
    """
    rows, columns = torch.arange(padded[0]) < grid[0], torch.arange(padded[1]) < grid[1]
    return (rows[:, None] & columns[None, :]).roll((-shift, -shift), dims=(0, 1))


def window_mask(grid: tuple[int, int], window: int, shift: int, *, mask_padding: bool = False) -> Tensor:
    """Who may attend to whom in each window of the padded and rolled map: tokens that are neighbours in the picture.

    Args:    grid: (gy, gx) before padding; shift: from 0 to window - 1.
             mask_padding: nobody attends to padding; False = its zeros are keys like others, as in the released code.
    Returns: (w, n, n) boolean; True = may attend. With `mask_padding` the rows of padding can be fully blocked.
    Source:  Liu et al. 2021, arXiv:2103.14030, sec. 3.2, "Efficient batch computation". Differs: boolean, where the
             released code adds -100 to the scores.
    """
    padded = tuple(side + -side % window for side in grid)
    ids = partition(region_ids(padded, window, shift)[None, :, :, None], window)[..., 0]  # w n
    allowed = ids[:, :, None] == ids[:, None, :]
    if mask_padding:
        real = partition(real_places(grid, padded, shift)[None, :, :, None], window)[..., 0]  # w n
        allowed = allowed & real[:, None, :]
    return allowed
