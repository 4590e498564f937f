"""Rotary encoding, pair by pair: what turns, by how much, and why a score knows the distance only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.explain.position import rotary as encoding
from tfsss.layers.position import frequencies, rotate


@dataclass(frozen=True, kw_only=True)
class RotaryPairs:
    """One query and one key, each turned to its place; f = e/2 pairs of channels."""

    query_at: int
    key_at: int
    shift: int  # both are moved on by this much for the second score
    turns: np.ndarray  # (f,) float32, radians per position
    query: np.ndarray  # (f, 2) float32, before turning
    key: np.ndarray  # (f, 2)
    query_turned: np.ndarray  # (f, 2), at `query_at`
    key_turned: np.ndarray  # (f, 2), at `key_at`
    products: np.ndarray  # (f,) float32: each pair's part of the score
    score: float
    shifted_score: float  # of the same two, both moved on
    scores: np.ndarray  # (n, n) float32: this query at every position against this key at every position
    unequal: float  # the largest difference of two scores at the same distance: rounding


def rotary_pairs(dim: int, *, query_at: int, key_at: int, shift: int, length: int = 32, base: float = 10_000.0,
                 pairing: Literal["interleaved", "halves"] = "interleaved", seed: int = 0) -> RotaryPairs:
    """A random query and key of one head, turned.

    Args:    dim: e, width of the head, even; length: n, of the matrix of scores.
             base, pairing: as `layers.position.rotate`.
    Raises:  InputError: as `explain.position.rotary`; a position below 0.
    """
    encoding(length, dim, base=base, pairing=pairing)
    for position in (query_at, key_at, query_at + shift, key_at + shift):
        if position < 0:
            raise InputError("position.before_start", position=position)
    query, key = torch.randn(2, dim, generator=torch.Generator().manual_seed(seed))

    def turned(vector: Tensor, *positions: int) -> Tensor:
        return rotate(vector.expand(len(positions), dim), torch.tensor(positions), base=base, pairing=pairing)

    def pairs(vector: Tensor) -> np.ndarray:
        pattern = "(f two) -> f two" if pairing == "interleaved" else "(two f) -> f two"
        return read_only(rearrange(vector, pattern, two=2))

    queries, keys = turned(query, query_at, query_at + shift), turned(key, key_at, key_at + shift)  # 2 e
    scores = (turned(query, *range(length)) @ turned(key, *range(length)).T).numpy()  # n n
    diagonals = [np.diagonal(scores, offset) for offset in range(1 - length, length)]
    products = pairs(queries[0] * keys[0]).sum(axis=1)
    return RotaryPairs(
        query_at=query_at, key_at=key_at, shift=shift, turns=read_only(frequencies(dim, base).float()),
        query=pairs(query), key=pairs(key), query_turned=pairs(queries[0]), key_turned=pairs(keys[0]),
        products=read_only(products), score=float(queries[0] @ keys[0]), shifted_score=float(queries[1] @ keys[1]),
        scores=read_only(scores), unequal=float(max(np.ptp(diagonal) for diagonal in diagonals)),
    )
