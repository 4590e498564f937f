"""Attention rollout: the layers' attention multiplied into one matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.explain.attention import Trace

Fusion = Literal["mean", "max", "min"]
FUSIONS: tuple[Fusion, ...] = get_args(Fusion)
TOLERANCE = 1e-5  # how far a row's sum may be from 1


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """How much of each token of the first layer's input is traced back to, from each token after the last layer."""

    matrix: np.ndarray  # (n, n) float32, query down, source across
    row_sums: np.ndarray  # (n,) float32: of the product as it came out, not renormalised; 1 within TOLERANCE


def rollout(traced: Trace, *, fusion: Fusion = "mean", discard: float = 0.0, residual: float = 0.5, first: int = 0,
            last: int | None = None) -> Rollout:
    """Attention rollout, a heuristic: it follows the weights alone, as if values, MLPs and norms passed everything on.

    Each layer's heads are fused, its smallest entries set to 0, its rows brought back to sum 1, and the residual mixed
    in: residual * I + (1 - residual) * A. The layers are then multiplied, the last on the left. A row in which
    nothing is left (possible with "min") passes its own token on.

    Args:    fusion: of the heads, by "mean" (the paper), "max" or "min".
             discard: which part of each row's entries is set to 0, the smallest first, in [0, 1). The class token's
             column never is; entries equal to the smallest one kept stay.
             residual: weight of the residual, 0..1; 0.5 in the paper, 1 = the identity.
             first, last: the layers multiplied, from 0, both included; last None = the model's last.
    Raises:  InputError: a number outside these ranges.
    Source:  Abnar & Zuidema 2020, arXiv:2005.00928, sec. 3 (mean, nothing discarded, 0.5, all layers).
             Differs: max, min and discard are vit-explain's (Gildenblat 2020), which discards over the whole matrix,
             not per row, keeps only the class token's weight on itself, and divides columns where rows are meant.
             The starting layer is that of Chefer et al. 2021, arXiv:2012.09838, whose rollout is otherwise the paper's.
    """
    depth = len(traced.weights)
    last = depth - 1 if last is None else last
    _check(discard, residual, first, last, depth)
    attention = fuse(torch.tensor(traced.weights[first:last + 1]).float(), fusion)
    if discard:
        attention = _without_smallest(attention, discard, kept_columns=int(traced.class_token))
    matrix = multiply(residual_mix(attention, residual))
    row_sums = matrix.sum(dim=1)
    if (row_sums - 1).abs().max() > TOLERANCE:
        raise ArithmeticError(f"rows of the rollout sum to {row_sums.min()}..{row_sums.max()}, not to 1")
    return Rollout(matrix=read_only(matrix), row_sums=read_only(row_sums))


def fuse(weights: Tensor, fusion: Fusion) -> Tensor:
    """Heads to one: (l, h, n, n) to (l, n, n)."""
    if fusion == "mean":
        return weights.mean(dim=1)
    return weights.amax(dim=1) if fusion == "max" else weights.amin(dim=1)


def residual_mix(attention: Tensor, residual: float) -> Tensor:
    """Rows brought to sum 1, then residual * I + (1 - residual) * A, for (l, n, n)."""
    identity = torch.eye(attention.shape[-1], dtype=attention.dtype)
    sums = attention.sum(dim=-1, keepdim=True)
    attention = torch.where(sums == 0, identity, attention / sums)
    return torch.lerp(attention, identity, residual)


def multiply(layers: Tensor) -> Tensor:
    """The product of (l, n, n), the last layer on the left."""
    product = layers[0]
    for layer in layers[1:]:
        product = layer @ product
    return product


def _without_smallest(attention: Tensor, discard: float, kept_columns: int) -> Tensor:
    """(l, n, n) with each row's smallest entries set to 0, the first `kept_columns` left alone."""
    kept, candidates = attention.tensor_split([kept_columns], dim=-1)
    count = int(discard * candidates.shape[-1])
    ordered = np.partition(candidates.numpy(), count, axis=-1)  # an eighth of the time of torch's kthvalue
    smallest_kept = torch.from_numpy(ordered[..., count:count + 1])
    return torch.cat([kept, candidates.masked_fill(candidates < smallest_kept, 0)], dim=-1)


def _check(discard: float, residual: float, first: int, last: int, depth: int) -> None:
    if not 0 <= discard < 1:
        raise InputError("explain.discard", discard=discard)
    if not 0 <= residual <= 1:
        raise InputError("explain.residual", residual=residual)
    if not 0 <= first <= last < depth:
        raise InputError("explain.layers", first=first, last=last, limit=depth - 1)
