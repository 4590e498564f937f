"""Filling removed pixels without having learned anything: what a reconstruction has to beat."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def mean_filled(images: Tensor, removed: Tensor) -> Tensor:
    """Removed pixels become the mean colour of the others of the same picture; 0 if there are none.

    Args:    images: (b, c, H, W); removed: (b, 1, H, W) boolean.
    Returns: (b, c, H, W).
    """
    kept = (~removed).to(images.dtype)
    mean = (images * kept).sum(dim=(2, 3), keepdim=True) / kept.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    return torch.where(removed, mean, images)


def harmonic_filled(images: Tensor, removed: Tensor, *, tolerance: float = 1e-3, most_steps: int = 1000) -> Tensor:
    """Removed pixels become the mean of their four neighbours, all at once: a soap film over the gaps.

    The picture's border reflects. Solved by conjugate gradients from the mean fill, all pictures at once.

    Args:    images: (b, c, H, W); removed: (b, 1, H, W) boolean.
             tolerance: the residual's length, as a share of its first one, at which a picture is done.
    Returns: (b, c, H, W); where a picture has no pixel left, `mean_filled`.
    Source:  the Dirichlet problem of Laplace's equation; conjugate gradients as in Hestenes and Stiefel 1952.
    """
    start = mean_filled(images, removed)
    inside = (removed & ~removed.all(dim=(2, 3), keepdim=True)).to(images.dtype)
    x = start.clone()
    residual = -_laplacian(x) * inside
    direction, energy = residual.clone(), _dot(residual, residual)
    enough = energy * tolerance**2
    for _ in range(most_steps):
        if (energy <= enough).all():
            break
        pulled = _laplacian(direction) * inside
        length = energy / _dot(direction, pulled).clamp(min=1e-20)
        x += length * direction
        residual -= length * pulled
        before, energy = energy, _dot(residual, residual)
        direction = residual + energy / before.clamp(min=1e-20) * direction
    return x


def _laplacian(x: Tensor) -> Tensor:
    """Four times a pixel less its four neighbours, minus nothing across the border: positive semi-definite."""
    padded = F.pad(x, [1, 1, 1, 1], mode="replicate")
    return (4 * x - padded[..., :-2, 1:-1] - padded[..., 2:, 1:-1] - padded[..., 1:-1, :-2] - padded[..., 1:-1, 2:])


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """The scalar product of each channel of each picture: (b, c, 1, 1)."""
    return (a * b).sum(dim=(2, 3), keepdim=True)
