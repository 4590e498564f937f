"""LayerNorm for maps whose channels stand before the grid."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn


class ChannelsFirstLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of every place of a map, each place for itself.

    Returns: forward gives (b, d, gy, gx) from (b, d, gy, gx).
    Source:  Ba et al. 2016, arXiv:1607.06450, as ConvNeXt uses it (Liu et al. 2022, arXiv:2201.03545, sec. 2.6).
             State-dict keys and eps as `nn.LayerNorm`.
    """

    def forward(self, x: Tensor) -> Tensor:
        normed = super().forward(rearrange(x, "b d gy gx -> b gy gx d"))
        return rearrange(normed, "b gy gx d -> b d gy gx")
