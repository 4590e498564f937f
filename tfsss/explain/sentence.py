"""Attention on a short sentence, small enough that every number can be read and checked by hand."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.layers.attention import Attention
from tfsss.layers.position import sincos_1d
from tfsss.probe import capture

MOST_WORDS = 8
MOST_DIM = 16
WORD = re.compile(r"[\u3400-\u9fff]|[^\s\u3400-\u9fff]+")  # a Chinese character, or anything between spaces


@dataclass(frozen=True, kw_only=True)
class Heads:
    """Attention from queries to outputs, in h heads; every step is computed from the one before."""

    q: np.ndarray  # (h, n, e) float32
    k: np.ndarray  # (h, n, e)
    v: np.ndarray  # (h, n, e)
    scores: np.ndarray  # (h, n, n), query times key
    divisor: float  # sqrt(e)
    scaled: np.ndarray  # (h, n, n), scores / divisor
    masked: np.ndarray  # (h, n, n), minus infinity where blocked
    weights: np.ndarray  # (h, n, n), rows sum to 1
    sums: np.ndarray  # (h, n, e), weights times values
    joined: np.ndarray  # (n, h*e), the heads side by side
    output: np.ndarray  # (n, d), joined times `output_matrix`: what the layer gives back


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A sentence on its way through one attention layer, undivided and in heads, with the same matrices."""

    words: tuple[str, ...]  # n
    vectors: np.ndarray  # (n, d) float32, one decimal: the same word has the same vector wherever it stands
    positions: np.ndarray  # (n, d), sinusoidal, one decimal; zeros when they are left out
    x: np.ndarray  # (n, d), the sum of both
    query_matrix: np.ndarray  # (d, d), one decimal: q = x @ query_matrix
    key_matrix: np.ndarray  # (d, d)
    value_matrix: np.ndarray  # (d, d)
    output_matrix: np.ndarray  # (d, d)
    allowed: np.ndarray  # (n, n) boolean, query down, key across; True = may attend
    whole: Heads  # one head of width d
    split: Heads  # `num_heads` heads of width d / num_heads


def words_of(text: str) -> tuple[str, ...]:
    """What stands between spaces; of Chinese, every character."""
    return tuple(WORD.findall(text))


def sentence(words: tuple[str, ...], *, embed_dim: int = 4, num_heads: int = 2, seed: int = 0, positions: bool = False,
             allowed: np.ndarray | None = None) -> Sentence:
    """Run `layers.attention.Attention` on a sentence, with drawn vectors and matrices, and keep every step.

    Args:    words: 1 to 8; embed_dim: d, even; num_heads: h, a divisor of d.
             seed: of the word vectors and of the four matrices, rounded to one decimal.
             positions: whether sinusoidal positions are added; without them a word does not know where it stands.
             allowed: (n, n) boolean, True = may attend; None = everyone.
    Raises:  InputError: no words or too many, or a width that does not split into the heads.
    """
    if not 1 <= len(words) <= MOST_WORDS:
        raise InputError("masks.words", count=len(words), limit=MOST_WORDS)
    if embed_dim % 2 or not 2 <= embed_dim <= MOST_DIM or num_heads < 1 or embed_dim % num_heads:
        raise InputError("masks.width", dim=embed_dim, heads=num_heads, limit=MOST_DIM)
    count = len(words)
    vectors = torch.stack([_word_vector(word, embed_dim, seed) for word in words])
    places = sincos_1d(torch.arange(count), embed_dim).round(decimals=1) * positions
    generator = torch.Generator().manual_seed(seed)
    matrices = (torch.randn(4, embed_dim, embed_dim, generator=generator) * embed_dim**-0.5).round(decimals=1)
    everyone = torch.ones(count, count, dtype=torch.bool)
    may = everyone if allowed is None else torch.tensor(allowed, dtype=torch.bool)
    whole, split = (_heads(vectors + places, matrices, h, may) for h in (1, num_heads))
    query, key, value, output = map(read_only, matrices)
    return Sentence(words=words, vectors=read_only(vectors), positions=read_only(places),
                    x=read_only(vectors + places), query_matrix=query, key_matrix=key, value_matrix=value,
                    output_matrix=output, allowed=read_only(may), whole=whole, split=split)


def _word_vector(word: str, dim: int, seed: int) -> Tensor:
    """(d,) normal numbers with one decimal, drawn from the word itself and the seed."""
    digest = hashlib.sha256(f"{seed} {word}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7]))
    return torch.randn(dim, generator=generator).round(decimals=1)


def _heads(x: Tensor, matrices: Tensor, num_heads: int, allowed: Tensor) -> Heads:
    """One layer's steps.  Args: x: (n, d); matrices: (4, d, d), for queries, keys, values and output, as x @ matrix."""
    layer = Attention(x.shape[1], num_heads, qkv_bias=False, proj_bias=False)
    layer.qkv.weight.data = rearrange(matrices[:3], "three d_in d_out -> (three d_out) d_in")
    layer.proj.weight.data = matrices[3].T
    with capture(layer, "*") as seen:
        output = layer(x[None], allowed=allowed)[0]
    q, k, v, scaled, weights = (seen[name][0] for name in ("q", "k", "v", "scores", "weights"))
    sums = weights @ v
    return Heads(q=read_only(q), k=read_only(k), v=read_only(v), scores=read_only(q @ k.transpose(-2, -1)),
                 divisor=layer.head_dim**0.5, scaled=read_only(scaled),
                 masked=read_only(scaled.masked_fill(~allowed, -torch.inf)), weights=read_only(weights),
                 sums=read_only(sums), joined=read_only(rearrange(sums, "h n e -> n (h e)")), output=read_only(output))
