"""What a ViT's attention did on one picture: every layer and head, from one forward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.models.vit import VisionTransformer
from tfsss.probe import capture

Query = Literal["class", "mean"] | int | tuple[int, ...]  # class token, all patches, one patch, a painted set


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One forward of one picture, kept: every picture of the page is computed from it."""

    weights: np.ndarray  # (l, h, n, n) float16, after softmax; query down, key across
    norms: np.ndarray  # (l, n) float32, length of every token as it leaves its block
    features: np.ndarray  # (n, d) float32, after the last LayerNorm
    logits: np.ndarray | None  # (k,) float32; None = a model without classes
    class_token: bool  # whether token 0 is one
    num_prefix: int  # tokens before the patches: class, distillation, registers
    grid: tuple[int, int]  # (gy, gx)
    patch_size: int  # in pixels of the picture that the model was fed


def trace(model: VisionTransformer, images: Tensor) -> Trace:
    """Run the model once and keep what the page shows.

    Args:    model: in `eval()`; images: (1, c, H, W), normalised.
    Raises:  InputError: H or W not divisible by patch_size.
    """
    check_single(images)
    config = model.config
    with capture(model, "blocks.*.attn.weights", "blocks.*.output") as seen:
        output = model(images)
        blocks = [seen[f"blocks.{layer}.output"][0] for layer in range(config.depth)]
        features = model.norm(blocks[-1])
        norms = torch.stack([tokens.norm(dim=-1) for tokens in blocks])
    weights = np.stack([seen[f"blocks.{layer}.attn.weights"][0].half().numpy() for layer in range(config.depth)])
    weights.setflags(write=False)
    return Trace(weights=weights, norms=read_only(norms), features=read_only(features),
                 logits=read_only(output[0]) if config.num_classes else None, class_token=config.class_token,
                 num_prefix=config.num_prefix, grid=model.grid_of(images), patch_size=config.patch_size)


def query_tokens(traced: Trace, query: Query) -> np.ndarray:
    """Which tokens ask.

    Args:    query: "class", "mean" (all patches), one patch's number or several, row-major from 0.
    Returns: (q,) indices into the n tokens, without repetition.
    Raises:  InputError: no class token, or no such patch.
    """
    count = traced.grid[0] * traced.grid[1]
    if query == "class":
        if not traced.class_token:
            raise InputError("explain.no_class_token")
        return np.array([0])
    if query == "mean":
        return np.arange(traced.num_prefix, traced.num_prefix + count)
    patches = np.unique(np.array(query, dtype=np.int64))
    if not len(patches):
        raise InputError("explain.empty_query", last=count - 1)
    for patch in patches:
        if not 0 <= patch < count:
            raise InputError("explain.no_patch", patch=patch, last=count - 1)
    return traced.num_prefix + patches


def of_query(traced: Trace, matrices: np.ndarray, query: Query) -> np.ndarray:
    """The query's rows, averaged: (..., n, n) to (..., n) float32."""
    return matrices[..., query_tokens(traced, query), :].mean(axis=-2, dtype=np.float32)


def on_grid(traced: Trace, tokens: np.ndarray) -> np.ndarray:
    """The patches' part laid out as the picture: (..., n) to (..., gy, gx); prefix tokens are left out."""
    return tokens[..., traced.num_prefix:].reshape(*tokens.shape[:-1], *traced.grid)


def raw(traced: Trace, query: Query = "class", layer: int = -1) -> np.ndarray:
    """One layer's attention of the query, mean of its heads.  Returns: (n,) float32.  Args: layer: -1 = the last."""
    depth = len(traced.weights)
    if not -1 <= layer < depth:
        raise InputError("explain.no_layer", layer=layer, last=depth - 1)
    return of_query(traced, traced.weights[layer], query).mean(axis=0)


def received(traced: Trace) -> np.ndarray:
    """How much attention each token gets, in shares of an even distribution: the sinks of every layer.

    Returns: (l, n) float32, mean over heads and queries times n; 1 = its even share, n = all attention.
    Source:  attention sinks: Xiao et al. 2024, arXiv:2309.17453. A sink in the first layer is multiplied into every
             row of a rollout: this is why a rollout can be one bright patch, and why the first layer can be chosen.
    """
    return traced.weights.mean(axis=(1, 2), dtype=np.float32) * traced.weights.shape[-1]


def check_single(images: Tensor) -> None:
    """Raises ValueError when `images` is not a batch of one picture."""
    if images.ndim != 4 or len(images) != 1:
        raise ValueError(f"one picture (1, c, H, W) is explained at a time, not {tuple(images.shape)}")
