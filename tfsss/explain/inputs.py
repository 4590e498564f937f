"""From pixels to what a model is fed, and the two ways to take the content out of a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from tfsss.weights import Entry

Fill = Literal["mean", "blur"]
FILLS: tuple[Fill, ...] = get_args(Fill)


def normalise(pixels: np.ndarray, entry: Entry) -> Tensor:
    """Pixels as the weights want them: 0..1, less their mean, over their standard deviation.

    Args:    pixels: (H, W, 3) uint8; entry: whose `mean` and `std` are used.
    Returns: (1, 3, H, W) float32.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"pixels are (H, W, 3) uint8, not {pixels.shape} {pixels.dtype}")
    images = rearrange(torch.tensor(pixels), "H W c -> 1 c H W").float() / 255
    mean, std = (rearrange(torch.tensor(value), "c -> 1 c 1 1") for value in (entry.mean, entry.std))
    return (images - mean) / std


def filled(images: Tensor, fill: Fill, patch_size: int) -> Tensor:
    """The pictures without what is in them.

    "mean" is each picture's own mean colour. "blur" is a Gaussian whose standard deviation is one side of a patch, cut
    off at three deviations, with the border repeated outwards: nothing smaller than a patch survives it.

    Args:    images: (b, c, H, W), normalised or not (both fills commute with it).
    Returns: the same shape.
    """
    if fill == "mean":
        return images.mean(dim=(2, 3), keepdim=True).expand_as(images)
    offsets = torch.arange(-3 * patch_size, 3 * patch_size + 1, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (offsets / patch_size) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(images, [3 * patch_size] * 4, mode="replicate")
    padded = rearrange(padded, "b c H W -> (b c) 1 H W")
    blurred = F.conv2d(F.conv2d(padded, kernel[None, None, :, None]), kernel[None, None, None, :])
    return rearrange(blurred, "(b c) 1 H W -> b c H W", b=len(images))
