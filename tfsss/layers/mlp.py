"""The position-wise feed-forward network."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F


class Mlp(nn.Module):
    """Two linear maps with a nonlinearity between, applied to every token alike.

    Args:    embed_dim: d; hidden_dim: width in the middle (mlp_ratio * d); activation: exact GELU unless told.
    Source:  Vaswani et al. 2017, arXiv:1706.03762, eq. 2 (there with ReLU); GELU as in BERT and ViT.
    """

    def __init__(self, embed_dim: int, hidden_dim: int, activation: Callable[[Tensor], Tensor] = F.gelu):
        super().__init__()
        self.fc1 = nn.Linear(embed_dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, embed_dim)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:  # b n d -> b n d
        return self.fc2(self.activation(self.fc1(x)))
