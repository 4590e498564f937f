"""What else makes a Swin: its trained biases, merging on numbers small enough to read, and what windows save."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.explain.position import Bias, relative_bias
from tfsss.layers.windows import pad_to_multiple
from tfsss.models.swin import PatchMerging, SwinConfig, shift_of

if TYPE_CHECKING:
    from tfsss.weights import Loaded

MAX_NUMBERS = 256  # on the map that is merged
SIZES = (56, 112, 224, 448, 896, 1792)


@dataclass(frozen=True, kw_only=True)
class BlockBias:
    """The relative-position bias of one block; `bias.table` has a (2M-1) x (2M-1) picture for every head."""

    stage: int
    block: int
    bias: Bias
    largest: float  # of the table's absolute values: the end of a scale symmetric about 0


@dataclass(frozen=True, kw_only=True)
class Merging:
    """Patch merging step by step; d channels."""

    tokens: np.ndarray  # (gy, gx, d) int64, small numbers, each different
    padded: np.ndarray  # (gy', gx', d) int64, both sides even
    fours: np.ndarray  # (gy'/2, gx'/2, 4d) int64, the four neighbours of each 2 x 2 in one row
    origin: np.ndarray  # (4d, 3) int64: row and column inside the 2 x 2, and channel, of every number in `fours`
    normed: np.ndarray  # (gy'/2, gx'/2, 4d) float32, after the LayerNorm
    reduced: np.ndarray  # (gy'/2, gx'/2, 2d) float32
    matrix: np.ndarray  # (2d, 4d) float32, what makes 2d of 4d: random, as before training


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Multiplications of one attention layer against the side of a square picture; s sizes."""

    sizes: np.ndarray  # (s,) int64, pixels
    grids: np.ndarray  # (s,) int64, tokens on a side
    padded: np.ndarray  # (s,) int64, the same as the windows need it
    linear: np.ndarray  # (s,) int64, 4hwC^2: into queries, keys and values, and out of the heads
    global_pairs: np.ndarray  # (s,) int64, 2(hw)^2 C: scores and weighted sum, of everyone with everyone
    window_linear: np.ndarray  # (s,) int64, 4hwC^2 with padding
    window_pairs: np.ndarray  # (s,) int64, 2M^2 hwC with padding
    global_total: np.ndarray  # (s,) int64
    window_total: np.ndarray  # (s,) int64
    global_weights: np.ndarray  # (s,) int64, attention weights to keep for each head
    window_weights: np.ndarray  # (s,) int64
    channels: int  # C
    window: int  # M


@dataclass(frozen=True, kw_only=True)
class StageCosts:
    """Where a model's multiplications are on one picture, stage by stage; k stages, all blocks of a stage together."""

    grids: np.ndarray  # (k, 2) int64
    channels: np.ndarray  # (k,) int64, twice as many from stage to stage
    shifts: tuple[tuple[int, ...], ...]  # of every block
    linear: np.ndarray  # (k,) int64, as in `Costs`, with padding
    pairs: np.ndarray  # (k,) int64
    mlp: np.ndarray  # (k,) int64
    merging: np.ndarray  # (k,) int64, behind the stage; 0 behind the last
    mlp_if_four: np.ndarray  # (k,) int64, if merging kept all four times the channels


def trained_biases(loaded: Loaded) -> tuple[BlockBias, ...]:
    """The relative bias of every block of these weights, in the order of the forward."""
    found = []
    for number, stage in enumerate(loaded.model.layers):
        for place, block in enumerate(stage.blocks):
            bias = relative_bias((block.window,) * 2, table=block.attn.relative_position_bias_table,
                                 weights=loaded.entry.id)
            found.append(BlockBias(stage=number, block=place, bias=bias, largest=float(np.abs(bias.table).max())))
    return tuple(found)


@torch.no_grad()
def merging(grid: tuple[int, int] = (4, 4), channels: int = 1, *, seed: int = 0) -> Merging:
    """The model's own merging on the numbers 1, 2, 3, ..., each once, in any order.

    Args:    grid: (gy, gx), odd sides are padded with zeros; channels: d; seed: draws the order, then the matrix.
    Raises:  InputError: nothing to merge, or more numbers than one can read.
    """
    if min(*grid, channels) < 1 or grid[0] * grid[1] * channels > MAX_NUMBERS:
        raise InputError("swin.merging", rows=grid[0], columns=grid[1], channels=channels, limit=MAX_NUMBERS)
    generator = torch.Generator().manual_seed(seed)
    tokens = 1 + torch.randperm(grid[0] * grid[1] * channels, generator=generator).view(1, *grid, channels)
    order, made = PatchMerging(channels), PatchMerging(channels)
    order.norm = order.reduction = nn.Identity()  # only the gathering is left
    made.reduction.weight.copy_(torch.randn(2 * channels, 4 * channels, generator=generator))
    p, q, c = torch.meshgrid(torch.arange(2), torch.arange(2), torch.arange(channels), indexing="ij")
    origin = torch.stack([order(part[None])[0, 0, 0] for part in (p, q, c)], dim=-1)  # 4d three
    fours = order(tokens)

    def values(x: Tensor) -> np.ndarray:
        return read_only(x[0])

    return Merging(tokens=values(tokens), padded=values(pad_to_multiple(tokens, 2)), fours=values(fours),
                   origin=read_only(origin), normed=values(made.norm(fours.float())),
                   reduced=values(made(tokens.float())), matrix=read_only(made.reduction.weight))


def costs(*, sizes: tuple[int, ...] = SIZES, patch_size: int = 4, channels: int = 96, window: int = 7) -> Costs:
    """One layer of attention, in windows and over the whole picture.

    Args:    sizes: sides of square pictures; channels: C; window: M.
    Raises:  InputError: a picture smaller than a patch.
    Source:  Liu et al. 2021, arXiv:2103.14030, eq. 1 and 2; softmax and bias are left out there too. A multiplication
             counts as one; `torch.utils.flop_counter` counts its addition as well, and so twice as much.
    """
    if min(sizes) < patch_size:
        raise InputError("swin.sizes", size=min(sizes), patch=patch_size)
    sides = -(-np.array(sizes, np.int64) // patch_size)
    padded = -(-sides // window) * window
    hw, padded_hw = sides**2, padded**2
    linear, global_pairs = 4 * hw * channels**2, 2 * hw**2 * channels
    window_linear, window_pairs = 4 * padded_hw * channels**2, 2 * window**2 * padded_hw * channels
    made = {"sizes": np.array(sizes, np.int64), "grids": sides, "padded": padded, "linear": linear,
            "global_pairs": global_pairs, "window_linear": window_linear, "window_pairs": window_pairs,
            "global_total": linear + global_pairs, "window_total": window_linear + window_pairs,
            "global_weights": hw**2, "window_weights": window**2 * padded_hw}
    return Costs(**{name: read_only(value) for name, value in made.items()}, channels=channels, window=window)


def stage_costs(config: SwinConfig, height: int, width: int) -> StageCosts:
    """A whole model on one picture.

    Args:    height, width: of the picture in pixels.
    Source:  as `costs`; an MLP is 2 * ratio * hwC^2, and merging hw/4 rows times a matrix of 4C x 2C. With 4C channels
             behind each merging a stage would take four times the linear work of the stage before it, for the tokens
             are a quarter and the matrices sixteen times as large; with 2C it takes as much.
    """
    if min(height, width) < 1:
        raise InputError("swin.sizes", size=min(height, width), patch=config.patch_size)
    grid = (-(-height // config.patch_size), -(-width // config.patch_size))
    m, rows = config.window_size, []
    for stage, (dim, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
        hw = grid[0] * grid[1]
        padded = int(np.prod([-(-side // m) * m for side in grid]))
        half = -(-grid[0] // 2), -(-grid[1] // 2)
        last = stage == len(config.depths) - 1
        mlp = 2 * depth * hw * dim * int(dim * config.mlp_ratio)
        rows.append((grid, dim, tuple(shift_of(block, grid, m) for block in range(depth)), 4 * depth * padded * dim**2,
                     2 * depth * m**2 * padded * dim, mlp, 0 if last else half[0] * half[1] * 8 * dim**2,
                     mlp * 4**stage))
        grid = half
    grids, dims, shifts, *numbers = zip(*rows, strict=True)
    names = ("linear", "pairs", "mlp", "merging", "mlp_if_four")
    return StageCosts(grids=read_only(np.array(grids, np.int64)), channels=read_only(np.array(dims, np.int64)),
                      shifts=shifts, **{name: read_only(np.array(column, np.int64))
                                        for name, column in zip(names, numbers, strict=True)})
