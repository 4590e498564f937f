"""Scaled dot-product attention in several heads, written out."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from tfsss.probe import Probe


def attention_weights(scores: Tensor, allowed: Tensor | None = None) -> Tensor:
    """Softmax over the keys, with forbidden keys left out.

    Args:    scores: (..., m, n), one row per query.
             allowed: boolean, broadcastable to `scores`; True = may attend. None = everyone may.
    Returns: (..., m, n); every row sums to 1, but a row in which nothing is allowed is all zeros.
    Source:  Vaswani et al. 2017, arXiv:1706.03762, eq. 1. Differs: frameworks give NaN for a fully blocked row.
    """
    if allowed is None:
        return scores.softmax(dim=-1)
    weights = scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1)
    return weights.masked_fill(~allowed, 0)  # changes nothing, except NaN to 0 in a row where nothing is allowed


class Attention(nn.Module):
    """Multi-head attention; self-attention, or cross-attention when a `context` is given.

    Probes: `q k v` (b h n e), `scores` (before mask and softmax) and `weights` (after), both (b h m n).

    Args:    embed_dim: d, width of the tokens.
             num_heads: h.
             head_dim: e, width of one head; d / h unless told, and then h * e need not be d.
             qkv_bias, proj_bias: whether the linear maps into and out of the heads have a bias.
    Source:  Vaswani et al. 2017, arXiv:1706.03762, sec. 3.2. The rows of `qkv` are q, then k, then v, as in timm and
             in `nn.MultiheadAttention`; vit-pytorch has `qkv_bias=False`, timm True.
    """

    def __init__(self, embed_dim: int, num_heads: int, *, head_dim: int | None = None, qkv_bias: bool = True,
                 proj_bias: bool = True):
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = head_dim or embed_dim // num_heads
        inner_dim = self.num_heads * self.head_dim
        self.qkv = nn.Linear(embed_dim, 3 * inner_dim, bias=qkv_bias)
        self.proj = nn.Linear(inner_dim, embed_dim, bias=proj_bias)
        self.q, self.k, self.v = Probe(), Probe(), Probe()
        self.scores, self.weights = Probe(), Probe()

    def forward(self, x: Tensor, context: Tensor | None = None, *, allowed: Tensor | None = None,
                bias: Tensor | None = None) -> Tensor:
        """Args:    x: (b, m, d), the queries' side.
                    context: (b, n, d), the keys' and values' side; None = `x` itself.
                    allowed: boolean, broadcastable to (b, h, m, n); True = may attend.
                    bias: added to the scores, broadcastable to (b, h, m, n) (Swin's relative bias, ALiBi).
        Returns: (b, m, d).
        """
        q, k, v = self.project(x, context)
        q, k, v = self.q(q), self.k(k), self.v(v)
        scores = (q * self.head_dim**-0.5) @ k.transpose(-2, -1)  # b h m n
        if bias is not None:
            scores = scores + bias
        weights = self.weights(attention_weights(self.scores(scores), allowed))  # b h m n
        return self.proj(rearrange(weights @ v, "b h m e -> b m (h e)"))

    def project(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries from `x`, keys and values from `context` (or `x`): each (b, h, n, e)."""
        if context is None:
            return rearrange(self.qkv(x), "b n (three h e) -> three b h n e", three=3, h=self.num_heads).unbind(0)
        rows = self.num_heads * self.head_dim
        w_q, w_kv = self.qkv.weight.split([rows, 2 * rows])
        b_q, b_kv = (None, None) if self.qkv.bias is None else self.qkv.bias.split([rows, 2 * rows])
        q = rearrange(F.linear(x, w_q, b_q), "b m (h e) -> b h m e", h=self.num_heads)
        k, v = rearrange(F.linear(context, w_kv, b_kv), "b n (two h e) -> two b h n e", two=2, h=self.num_heads)
        return q, k, v
