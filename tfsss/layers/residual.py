"""What may sit between a sub-layer and the residual stream: layer scale and drop path."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LayerScale(nn.Module):
    """A learned factor for each channel.

    Args:    embed_dim: d; init: the starting value.
    Source:  Touvron et al. 2021 (CaiT), arXiv:2103.17239, eq. 4. State-dict key `gamma`, as in timm.
    """

    def __init__(self, embed_dim: int, init: float = 1e-5):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((embed_dim,), init))

    def forward(self, x: Tensor) -> Tensor:  # b n d -> b n d
        return x * self.gamma


class DropPath(nn.Module):
    """In training, leaves out the whole sub-layer for a random part of the batch, and scales up the rest.

    Args:    rate: chance of being left out, in [0, 1). In `eval()` the identity.
    Source:  Huang et al. 2016, arXiv:1603.09382 (stochastic depth), applied per sample as timm does.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:  # b ... -> b ...
        if not self.training or self.rate == 0:
            return x
        keep = torch.rand(x.shape[0], *[1] * (x.ndim - 1), device=x.device) >= self.rate
        return x * keep / (1 - self.rate)
