"""What a patch size costs: tokens, floating-point operations, memory for the attention weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.models.vit import ViTConfig

PATCH_SIZES = (4, 7, 8, 14, 16, 28, 32, 56)


@dataclass(frozen=True, kw_only=True)
class Flops:
    """Operations of one forward pass of one picture, a multiplication and an addition counted as two."""

    patch_embed: int
    attention_linear: int  # maps into queries, keys and values, and out of the heads: grows with n
    attention_pairs: int  # scores, and weights times values: grows with the square of n
    mlp: int

    @property
    def total(self) -> int:
        return self.patch_embed + self.attention_linear + self.attention_pairs + self.mlp


@dataclass(frozen=True, kw_only=True)
class Costs:
    """The same picture and the same model at several patch sizes (k of them); a rest that fills no patch is cropped."""

    patch_sizes: np.ndarray  # (k,) int64
    grids: np.ndarray  # (k, 2) int64, (gy, gx)
    tokens: np.ndarray  # (k,) int64, patches and prefix tokens
    patch_embed: np.ndarray  # (k,) int64, FLOPs, as in `Flops`
    attention_linear: np.ndarray
    attention_pairs: np.ndarray
    mlp: np.ndarray
    total: np.ndarray
    attention_bytes: np.ndarray  # (k,) int64, weights of one layer in float32: h*n*n*4
    depth: int  # layers, so that all of them together hold depth * attention_bytes


def flops(config: ViTConfig, patches: int, patch_size: int) -> Flops:
    """Floating-point operations of a ViT, matrix products only (not norms, softmax, GELU, biases).

    Args:    patches: gy*gx, prefix tokens not counted; patch_size: p, which need not be the one in `config`.
    Source:  a product of (m, k) and (k, n) takes 2*m*k*n, as `torch.utils.flop_counter` counts; n tokens of width d in
             h heads of e: 2*n*d*3he + 2*n*he*d linear, 2*h*n*n*e scores and as much again for the weighted sum,
             2 * 2*n*d*(ratio*d) in the MLP, each once per layer; 2*gy*gx*(c*p*p)*d for the patches.
    """
    d = config.embed_dim
    n = patches + config.num_prefix
    inner = config.num_heads * (config.head_dim or d // config.num_heads)
    return Flops(patch_embed=2 * patches * config.in_channels * patch_size**2 * d,
                 attention_linear=config.depth * 2 * n * d * 4 * inner,
                 attention_pairs=config.depth * 2 * 2 * n**2 * inner,
                 mlp=config.depth * 2 * 2 * n * d * int(d * config.mlp_ratio))


def costs(config: ViTConfig, height: int, width: int, patch_sizes: tuple[int, ...] = PATCH_SIZES) -> Costs:
    """A model's costs on a picture of (height, width) pixels against patch size; sizes above the picture are left out.

    Raises:  InputError: the picture is smaller than every patch size.
    """
    sizes = [size for size in patch_sizes if size <= min(height, width)]
    if not sizes:
        raise InputError("patches.larger", patch=min(patch_sizes), height=height, width=width)
    grids = [(height // size, width // size) for size in sizes]
    counted = [flops(config, gy * gx, size) for (gy, gx), size in zip(grids, sizes, strict=True)]
    tokens = np.array([gy * gx + config.num_prefix for gy, gx in grids], np.int64)
    parts = {name: read_only(np.array([getattr(one, name) for one in counted], np.int64))
             for name in ("patch_embed", "attention_linear", "attention_pairs", "mlp", "total")}
    return Costs(patch_sizes=read_only(np.array(sizes, np.int64)), grids=read_only(np.array(grids, np.int64)),
                 tokens=read_only(tokens), **parts, attention_bytes=read_only(4 * config.num_heads * tokens**2),
                 depth=config.depth)
