"""How attention knows where a token is: encodings, the similarity that they make, and biases on the scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.layers.position import (
    alibi_bias, alibi_slopes, frequencies, gather_relative_bias, relative_position_steps, resize_table, rotate,
    sincos_1d, sincos_2d,
)

if TYPE_CHECKING:
    from tfsss.weights import Loaded

MAX_LENGTH = 4096  # a similarity matrix of that side is 64 MiB
MAX_WIDTH = 1024
MAX_BIAS = 2**24  # numbers in one bias (h, n, n): 64 MiB

Pairing = Literal["interleaved", "halves"]
Measure = Literal["cosine", "dot", "bias"]


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """One vector per position."""

    kind: str  # "sinusoidal", "sincos_2d", "learned" or "rotary"
    vectors: np.ndarray  # (n, d) float32; NaN in rows that do not exist
    grid: tuple[int, int] | None  # (gy, gx), rows outer; None = a sequence
    wavelengths: np.ndarray  # (d,) float32, positions per full turn; NaN where no formula made the channel
    axes: tuple[str, ...]  # d times "x" or "y", the direction in which a channel changes; "" = not made by a formula
    prefix: np.ndarray  # (k, d): rows of class and distillation token, which have no place on the grid
    weights: str | None  # id of the weights it was read from; None = a formula


@dataclass(frozen=True, kw_only=True)
class Bias:
    """One number per pair of positions and head, added to the scores."""

    kind: str  # "alibi" or "relative"
    bias: np.ndarray  # (h, n, n) float32, query down, key across; NaN = blocked by the causal mask
    grid: tuple[int, int] | None  # the window (wy, wx); None = a sequence
    slopes: np.ndarray  # (h,) float32 of ALiBi; empty for a relative bias
    table: np.ndarray  # (h, 2wy-1, 2wx-1) float32: the bias by offset, query's place minus key's; empty for ALiBi
    weights: str | None  # id of the weights, "random", or None = a formula


@dataclass(frozen=True, kw_only=True)
class Similarity:
    """How alike positions are, for every pair: what attention can read off an encoding, or is told by a bias."""

    matrix: np.ndarray  # (n, n) float32, query down, key across; NaN = blocked, or one of the two does not exist
    measure: Measure
    grid: tuple[int, int] | None
    low: float  # smallest and largest finite value
    high: float


@dataclass(frozen=True, kw_only=True)
class ByDistance:
    """Similarity of all pairs that lie equally far apart."""

    distances: np.ndarray  # (u,) float32, ascending, in positions or (Euclidean) in patches
    mean: np.ndarray  # (u,) float32
    spread: np.ndarray  # (u,) float32, standard deviation; 0 everywhere = only the distance counts
    counts: np.ndarray  # (u,) int64, pairs


@dataclass(frozen=True, kw_only=True)
class Waves:
    """Single channels of an encoding, drawn over the positions."""

    channels: tuple[int, ...]
    values: np.ndarray  # (k, n) float32
    wavelengths: np.ndarray  # (k,) float32; NaN = no formula
    axes: tuple[str, ...]  # k times "x", "y" or ""
    grid: tuple[int, int] | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two similarities on the same axes."""

    pairs: tuple[Similarity, Similarity]
    curves: tuple[ByDistance, ByDistance]
    value_range: tuple[float, float] | None  # shared by both panels; None = different measures, each has its own
    longest: float  # end of the shared distance axis


@dataclass(frozen=True, kw_only=True)
class RelativeSteps:
    """Swin's relative position index, one step after the other; the last axis of the first four is (y, x)."""

    window: tuple[int, int]
    coordinates: np.ndarray  # (n, 2): row and column of every token
    offsets: np.ndarray  # (n, n, 2): query's minus key's
    shifted: np.ndarray  # (n, n, 2): smallest offset moved to 0
    scaled: np.ndarray  # (n, n, 2): y times the table's row length
    index: np.ndarray  # (n, n): the sum, a row of the bias table


def sinusoidal(length: int, dim: int, *, base: float = 10_000.0, interleaved: bool = True) -> Encoding:
    """The encoding of "Attention is all you need".  Args: as `layers.position.sincos_1d`; length: n."""
    _check(length, dim, base, multiple=2)
    vectors = sincos_1d(torch.arange(length), dim, base=base, interleaved=interleaved)
    return _by_formula("sinusoidal", vectors, None, _wavelengths(dim, base, interleaved), ("x",) * dim)


def sincos_grid(grid: tuple[int, int], dim: int, *, base: float = 10_000.0, interleaved: bool = False,
                x_first: bool = True) -> Encoding:
    """The encoding of MAE.  Args: as `layers.position.sincos_2d`."""
    _check(grid[0] * grid[1], dim, base, multiple=4)
    vectors = sincos_2d(grid, dim, base=base, interleaved=interleaved, x_first=x_first)
    wavelengths = np.tile(_wavelengths(dim // 2, base, interleaved), 2)
    axes = [axis for axis in ("xy" if x_first else "yx") for _ in range(dim // 2)]
    return _by_formula("sincos_2d", vectors, grid, wavelengths, tuple(axes))


def rotary(length: int, dim: int, *, base: float = 10_000.0, pairing: Pairing = "interleaved") -> Encoding:
    """One and the same token, all ones, turned to each position: the products of its rows are rotary's scores.

    Args:    length: n; dim: e, width of a head; base, pairing: as `layers.position.rotate`.
    """
    _check(length, dim, base, multiple=2)
    vectors = rotate(torch.ones(length, dim), torch.arange(length), base=base, pairing=pairing)
    wavelengths = _wavelengths(dim, base, interleaved=pairing == "interleaved")
    return _by_formula("rotary", vectors, None, wavelengths, ("x",) * dim)


def learned(loaded: Loaded, grid: tuple[int, int] | None = None) -> Encoding:
    """The position table of loaded ViT weights; its kind is "sincos_2d" when training never changed it (MAE).

    Args:    grid: (gy, gx), resized to it as the model does for a picture of that many patches; None = as trained.
    """
    config, (prefix, dim) = loaded.model.config, loaded.model.pos_embed.shape[1:]
    prefix -= config.grid[0] * config.grid[1]
    before, table = loaded.model.pos_embed.split([prefix, config.grid[0] * config.grid[1]], dim=1)
    table = resize_table(table, config.grid, grid or config.grid, antialias=config.pos_antialias)
    return Encoding(kind="learned" if config.pos_embed == "learned" else "sincos_2d",
                    vectors=read_only(table[0]), grid=grid or config.grid,
                    wavelengths=read_only(np.full(dim, np.nan, np.float32)), axes=("",) * dim,
                    prefix=read_only(before[0]), weights=loaded.entry.id)


def alibi(num_heads: int, length: int, *, symmetric: bool = False) -> Bias:
    """ALiBi's bias; without `symmetric`, keys ahead of the query are blocked, as in the paper."""
    _check_bias(num_heads, length)
    bias = alibi_bias(num_heads, length, symmetric=symmetric)
    if not symmetric:
        bias = bias.masked_fill(torch.ones(length, length, dtype=torch.bool).triu(1), torch.nan)
    return Bias(kind="alibi", bias=read_only(bias), grid=None, slopes=read_only(alibi_slopes(num_heads)),
                table=read_only(np.zeros((0, 0, 0), np.float32)), weights=None)


def relative_steps(window: tuple[int, int]) -> RelativeSteps:
    """How one number per pair comes out of two coordinates per token.  Args: window: (wy, wx)."""
    _check_bias(1, window[0] * window[1])
    steps = relative_position_steps(window)._asdict()
    return RelativeSteps(window=window, **{name: read_only(step) for name, step in steps.items()})


def relative_bias(window: tuple[int, int], *, table: Tensor | np.ndarray | None = None, weights: str | None = None,
                  num_heads: int = 3, seed: int = 0) -> Bias:
    """Swin's relative bias of every head.

    Args:    window: (wy, wx); table: ((2wy-1)*(2wx-1), h), a trained `relative_position_bias_table`, and `weights`,
             the id of what it came from; None = a random table of `num_heads`, drawn with `seed`, as before training.
    """
    rows = (2 * window[0] - 1) * (2 * window[1] - 1)
    if table is None:
        table = torch.randn(rows, num_heads, generator=torch.Generator().manual_seed(seed)) * 0.02
        weights = "random"
    table = torch.as_tensor(table, dtype=torch.float32)
    if len(table) != rows:
        raise InputError("position.table_rows", height=window[0], width=window[1], rows=rows, given=len(table))
    heads = table.shape[1]
    _check_bias(heads, window[0] * window[1])
    bias = gather_relative_bias(table, relative_position_steps(window).index)
    maps = table.T.reshape(heads, 2 * window[0] - 1, 2 * window[1] - 1)
    return Bias(kind="relative", bias=read_only(bias), grid=window, slopes=read_only(np.zeros(0, np.float32)),
                table=read_only(maps), weights=weights)


def similarity(encoding: Encoding, measure: Literal["cosine", "dot"] = "cosine") -> Similarity:
    """Products of all pairs of an encoding's rows, divided by their lengths for the cosine (0 for a row of zeros)."""
    vectors = encoding.vectors
    if measure == "cosine":
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors / np.where(lengths == 0, 1, lengths)
    products = vectors @ vectors.T
    return pairwise(products.clip(-1, 1) if measure == "cosine" else products, measure, encoding.grid)


def head_bias(bias: Bias, head: int) -> Similarity:
    """One head's bias as a similarity, so that it is drawn, averaged by distance and compared like the others."""
    if not 0 <= head < len(bias.bias):
        raise InputError("position.no_head", head=head, last=len(bias.bias) - 1)
    return pairwise(bias.bias[head], "bias", bias.grid)


def pairwise(matrix: np.ndarray, measure: Measure, grid: tuple[int, int] | None) -> Similarity:
    """A `Similarity` of any (n, n) matrix."""
    return Similarity(matrix=read_only(matrix), measure=measure, grid=grid, low=float(np.nanmin(matrix)),
                      high=float(np.nanmax(matrix)))


def by_distance(pairs: Similarity, longest: float = np.inf) -> ByDistance:
    """Mean and spread of the similarity of pairs at each distance, up to `longest`; NaN pairs do not count."""
    matrix, n = pairs.matrix, len(pairs.matrix)
    grid = pairs.grid or (1, n)
    y, x = np.divmod(np.arange(n), grid[1])
    sums = np.zeros((3, n))  # count, sum, sum of squares for every |dy|*gx + |dx|
    for rows in np.array_split(np.arange(n), max(1, n // 256)):  # in strips: n*n integers would be 128 MiB
        offset = np.abs(y[rows, None] - y) * grid[1] + np.abs(x[rows, None] - x)
        values = matrix[rows].astype(np.float64)
        known = np.isfinite(values)
        offset, values = offset[known], values[known]
        sums += [np.bincount(offset, weights, minlength=n) for weights in (None, values, values**2)]
    squares, group = np.unique(y**2 + x**2, return_inverse=True)
    counts, total, total_squares = (np.bincount(group, row) for row in sums)
    kept = (counts > 0) & (squares <= longest**2)
    counts, mean, mean_square = counts[kept], total[kept] / counts[kept], total_squares[kept] / counts[kept]
    spread = np.sqrt(np.maximum(mean_square - mean**2, 0))
    return ByDistance(distances=read_only(np.sqrt(squares[kept]).astype(np.float32)),
                      mean=read_only(mean.astype(np.float32)), spread=read_only(spread.astype(np.float32)),
                      counts=read_only(counts.astype(np.int64)))


def around(pairs: Similarity, patch: int) -> np.ndarray:
    """Similarity of one patch to all, laid out as the grid (gy, gx); of a sequence, (1, n)."""
    if not 0 <= patch < len(pairs.matrix):
        raise InputError("position.no_patch", patch=patch, last=len(pairs.matrix) - 1)
    return pairs.matrix[patch].reshape(pairs.grid or (1, -1))


def tiles(pairs: Similarity) -> np.ndarray:
    """Every patch's similarity map at the patch's own place: (gy, gx, gy, gx).

    Source: Dosovitskiy et al. 2021, arXiv:2010.11929, fig. 7 centre (there with the cosine).
    """
    if pairs.grid is None:
        raise InputError("position.no_grid", length=len(pairs.matrix))
    return pairs.matrix.reshape(*pairs.grid, *pairs.grid)


def waves(encoding: Encoding, channels: tuple[int, ...]) -> Waves:
    """The chosen channels over all positions.  Raises: InputError: a channel that the encoding does not have."""
    width = encoding.vectors.shape[1]
    for channel in channels:
        if not 0 <= channel < width:
            raise InputError("position.no_channel", channel=channel, last=width - 1)
    index = list(channels)
    return Waves(channels=tuple(channels), values=read_only(encoding.vectors[:, index].T),
                 wavelengths=read_only(encoding.wavelengths[index]), axes=tuple(encoding.axes[i] for i in index),
                 grid=encoding.grid)


def compare(first: Similarity, second: Similarity) -> Comparison:
    """Both with their curves, and the ranges that make side-by-side panels honest."""
    curves = by_distance(first), by_distance(second)
    same = first.measure == second.measure
    return Comparison(pairs=(first, second), curves=curves,
                      value_range=(min(first.low, second.low), max(first.high, second.high)) if same else None,
                      longest=float(max(curve.distances[-1] for curve in curves)))


def _wavelengths(dim: int, base: float, interleaved: bool) -> np.ndarray:
    """(d,): how many positions each channel needs for a full turn."""
    turns = 2 * np.pi / frequencies(dim, base).numpy()
    return (np.repeat(turns, 2) if interleaved else np.tile(turns, 2)).astype(np.float32)


def _by_formula(kind: str, vectors: Tensor, grid: tuple[int, int] | None, wavelengths: np.ndarray,
                axes: tuple[str, ...]) -> Encoding:
    return Encoding(kind=kind, vectors=read_only(vectors), grid=grid, wavelengths=read_only(wavelengths), axes=axes,
                    prefix=read_only(np.zeros((0, vectors.shape[1]), np.float32)), weights=None)


def _check(length: int, dim: int, base: float, *, multiple: int) -> None:
    if not 1 <= length <= MAX_LENGTH:
        raise InputError("position.length", length=length, limit=MAX_LENGTH)
    if not multiple <= dim <= MAX_WIDTH or dim % multiple:
        raise InputError("position.width", width=dim, multiple=multiple, limit=MAX_WIDTH)
    if not 1 < base < np.inf:
        raise InputError("position.base", base=base)


def _check_bias(num_heads: int, length: int) -> None:
    if num_heads < 1 or length < 1 or num_heads * length**2 > MAX_BIAS:
        raise InputError("position.bias", heads=num_heads, length=length, numbers=num_heads * length**2, limit=MAX_BIAS)
