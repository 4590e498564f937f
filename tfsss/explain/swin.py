"""Swin's windows step by step: where every token goes, who may see whom, and the attention before and after that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.explain.inputs import normalise
from tfsss.layers.attention import attention_weights
from tfsss.layers.position import resize_table
from tfsss.layers.windows import (
    cyclic_shift, pad_to_multiple, partition, real_places, region_ids, reverse, window_mask,
)
from tfsss.models.swin import Block, WindowAttention, shift_of
from tfsss.probe import capture

if TYPE_CHECKING:
    from tfsss.weights import Loaded

MAX_TOKENS = 4096
MAX_WINDOW = 32
MAX_PAIRS = 2**22  # in all windows together, w * n * n
MAX_WEIGHTS = 2**24  # numbers in one (w, h, n, n): 64 MiB
ABSENT = -1  # row and column of a token that is not on the map
ADDED = (-1e-9, -1.0, -10.0, -100.0, -1e9)  # what may be added to forbidden scores instead of a boolean mask

StepName = Literal["grid", "pad", "partition", "shift", "ids", "mask", "attention", "reverse", "crop"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step, as a motion: token i goes from `before[i]` to `after[i]`."""

    name: StepName
    before: np.ndarray  # (t, 2) int64, row and column; ABSENT = not on the map
    after: np.ndarray  # (t, 2) int64
    moved: bool  # False = nothing stirs: nothing to pad, no shift, or a step that only looks
    window: np.ndarray | None  # (t,) int64, the window that holds each token now; None = the map is not cut


@dataclass(frozen=True, kw_only=True)
class Windows:
    """A token grid on its way through windows; t tokens (padding too, row by row), w windows of n places."""

    grid: tuple[int, int]  # (gy, gx)
    padded: tuple[int, int]  # (gy, gx) after padding: multiples of the window
    window: int  # M
    shift: int  # by how much the map is rolled up and left
    usual_shift: int  # what the model would take in its second block on this grid
    mask_padding: bool
    steps: tuple[Step, ...]
    real: np.ndarray  # (t,) boolean, False = padding
    rolled: np.ndarray  # (gy, gx) int64, padded size: which token stands where after the roll
    ids: np.ndarray  # (gy, gx) int64, 0..8, region ids on the rolled map
    ids_at_home: np.ndarray  # (gy, gx) int64, the same ids carried back to where the tokens came from
    tokens: np.ndarray  # (w, n) int64, which token stands at each place of each window
    differences: np.ndarray  # (w, n, n) int64, query's id minus key's: 0 = the same region
    allowed: np.ndarray  # (w, n, n) boolean, True = may attend


@dataclass(frozen=True, kw_only=True)
class WindowWeights:
    """Attention inside every window of one block, from the weights on a picture; w windows, h heads, n places."""

    windows: Windows
    stage: int
    block: int
    scores: np.ndarray  # (w, h, n, n) float32, with the relative bias, before mask and softmax
    bias: np.ndarray  # (h, n, n) float32, the relative bias in those scores
    before: np.ndarray  # (w, h, n, n) float32, as if everyone in a window might attend to everyone
    after: np.ndarray  # (w, h, n, n) float32, masked
    removed: np.ndarray  # (w, h) float32, share of `before` that lay on forbidden pairs
    resized: bool  # the bias table was resized, because the weights know another window
    own: bool  # all is as the model itself does it in this block
    weights: Literal["trained", "random"]


@dataclass(frozen=True, kw_only=True)
class Leak:
    """What is left on forbidden pairs when a number is added to their scores in place of a boolean mask."""

    added: np.ndarray  # (v,) float64
    share: np.ndarray  # (v,) float64: the weight on forbidden keys, mean over the queries that have some


def windows(grid: tuple[int, int], window: int = 7, shift: int | None = None, *, mask_padding: bool = False) -> Windows:
    """Where every token of a grid goes, step by step, in a block that shifts.

    Args:    grid: (gy, gx), any; window: M; shift: from 0 to M - 1; None = as the model's second block on this grid.
             mask_padding: nobody attends to padding; False = its zeros are keys, as in the released code.
    Raises:  InputError: an empty or too large grid, no such window or shift.
    """
    shift = check(grid, window, shift)
    padded = tuple(side + -side % window for side in grid)
    homes = np.stack(np.divmod(np.arange(padded[0] * padded[1]), padded[1]), axis=-1)  # t 2
    real = real_places(grid, padded, 0).flatten().numpy()
    numbers = torch.arange(len(homes)).view(1, *padded, 1)
    rolled = cyclic_shift(numbers, shift)
    ids = region_ids(padded, window, shift)
    cut = partition(ids[None, :, :, None], window)[..., 0]  # w n
    return Windows(grid=tuple(grid), padded=padded, window=window, shift=shift, usual_shift=shift_of(1, grid, window),
                   mask_padding=mask_padding, steps=_steps(homes, real, numbers, window, shift),
                   real=read_only(real), rolled=read_only(rolled[0, :, :, 0]), ids=read_only(ids),
                   ids_at_home=read_only(cyclic_shift(ids[None, :, :, None], -shift)[0, :, :, 0]),
                   tokens=read_only(partition(rolled, window)[..., 0]),
                   differences=read_only(cut[:, :, None] - cut[:, None, :]),
                   allowed=read_only(window_mask(grid, window, shift, mask_padding=mask_padding)))


@torch.inference_mode()
def window_weights(pixels: np.ndarray, loaded: Loaded, *, stage: int = 0, block: int = 1, window: int | None = None,
                   shift: int | None = None, mask_padding: bool = False) -> WindowWeights:
    """Attention inside the windows of one block, before and after masking.

    Everything up to this block runs as the model does it; this block cuts its map with the window and shift asked for.

    Args:    pixels: (H, W, 3) uint8, any size; window, shift: None = the model's own.
             window: another than the model's has its bias table resized bicubically, as Swin's released code does when
             it loads weights made for another window.
    Raises:  InputError: no such stage, block, window or shift, or more numbers than can be shown.
    """
    chosen = block_of(loaded, stage, block)
    entering = entering_maps(pixels, loaded)[stage][block]  # 1 gy gx d
    grid, own_window = tuple(entering.shape[1:3]), chosen.window
    own_shift = shift_of(block, grid, own_window)
    window = own_window if window is None else window
    shift = check(grid, window, shift_of(block, grid, window) if shift is None else shift)
    made = windows(grid, window, shift, mask_padding=mask_padding)
    heads, count = chosen.attn.num_heads, made.tokens.shape[1]
    if (size := len(made.tokens) * heads * count**2) > MAX_WEIGHTS:
        raise InputError("swin.too_many", windows=len(made.tokens), places=count, numbers=size, limit=MAX_WEIGHTS)
    attn = chosen.attn if window == own_window else resized(chosen.attn, own_window, window)
    cut = partition(cyclic_shift(pad_to_multiple(chosen.norm1(entering), window), shift), window)  # w n d
    with capture(attn, "scores", "weights", "relative_bias") as seen:
        attn(cut, torch.tensor(made.allowed))
    before = attention_weights(seen["scores"])
    own = (window, shift) == (own_window, own_shift) and not (mask_padding and made.padded != grid)
    forbidden = ~torch.tensor(made.allowed)[:, None]
    return WindowWeights(windows=made, stage=stage, block=block, scores=read_only(seen["scores"]),
                         bias=read_only(seen["relative_bias"]), before=read_only(before),
                         after=read_only(seen["weights"]),
                         removed=read_only((before * forbidden).sum(dim=-1).mean(dim=-1)),
                         resized=window != own_window, own=own, weights=loaded.entry.weights)


def leak(made: WindowWeights, added: tuple[float, ...] = ADDED) -> Leak:
    """What reaches forbidden keys when `added` is added to their scores: enough of it, and nothing is left."""
    scores, allowed = torch.tensor(made.scores), torch.tensor(made.windows.allowed)[:, None]
    bound = rearrange(~allowed.all(dim=-1), "w 1 n -> w n")
    shares = []
    for number in added:
        on_forbidden = ((scores + number * ~allowed).softmax(dim=-1) * ~allowed).sum(dim=-1)  # w h n
        rows = rearrange(on_forbidden, "w h n -> w n h")[bound]
        shares.append(float(rows.double().mean()) if len(rows) else 0.0)
    return Leak(added=read_only(np.array(added)), share=read_only(np.array(shares)))


def check(grid: tuple[int, int], window: int, shift: int | None) -> int:
    """The shift to take.  Raises: InputError: an empty or too large grid, no such window or shift."""
    if min(grid) < 1 or grid[0] * grid[1] > MAX_TOKENS:
        raise InputError("swin.grid", rows=grid[0], columns=grid[1], limit=MAX_TOKENS)
    if not 1 <= window <= MAX_WINDOW:
        raise InputError("swin.window", window=window, limit=MAX_WINDOW)
    count = -(-grid[0] // window) * -(-grid[1] // window)
    if (pairs := count * window**4) > MAX_PAIRS:
        raise InputError("swin.too_many", windows=count, places=window**2, numbers=pairs, limit=MAX_PAIRS)
    shift = shift_of(1, grid, window) if shift is None else shift
    if not 0 <= shift < window:
        raise InputError("swin.shift", shift=shift, last=window - 1, window=window)
    return shift


def block_of(loaded: Loaded, stage: int, block: int) -> Block:
    """A block by its numbers.  Raises: InputError: there is none."""
    depths = loaded.model.config.depths
    if not 0 <= stage < len(depths):
        raise InputError("swin.no_stage", stage=stage, last=len(depths) - 1)
    if not 0 <= block < depths[stage]:
        raise InputError("swin.no_block", block=block, stage=stage, last=depths[stage] - 1)
    return loaded.model.layers[stage].blocks[block]


@torch.inference_mode()
def entering_maps(pixels: np.ndarray, loaded: Loaded) -> list[list[Tensor]]:
    """The map (1, gy, gx, d) that enters each block of each stage, on this picture."""
    model = loaded.model
    with capture(model, "embedded", "layers.*.blocks.*.output") as seen:
        model(normalise(pixels, loaded.entry))
    maps, entering = [], seen["embedded"]
    for number, stage in enumerate(model.layers):
        outputs = [seen[f"layers.{number}.blocks.{block}.output"] for block in range(len(stage.blocks))]
        maps.append([entering, *outputs[:-1]])
        entering = stage.downsample(outputs[-1])
    return maps


def resized(attn: WindowAttention, old: int, new: int) -> WindowAttention:
    """The same attention for another window: its bias table resized, everything else shared."""
    made = WindowAttention(attn.qkv.in_features, attn.num_heads, new, qkv_bias=attn.qkv.bias is not None)
    made.qkv, made.proj = attn.qkv, attn.proj
    table = resize_table(attn.relative_position_bias_table[None], (2 * old - 1,) * 2, (2 * new - 1,) * 2,
                         antialias=False)
    made.relative_position_bias_table = torch.nn.Parameter(table[0], requires_grad=False)
    return made.eval().requires_grad_(False)


def _steps(homes: np.ndarray, real: np.ndarray, numbers: Tensor, window: int, shift: int) -> tuple[Step, ...]:
    """Every token's places through all steps, read off maps of token numbers that go through the layers' functions.

    Args:    homes: (t, 2); real: (t,); numbers: (1, gy, gx, 1), the padded map.
    """
    rolled = cyclic_shift(numbers, shift)
    mended = reverse(partition(rolled, window), window, numbers.shape[1:3])
    on_grid = np.where(real[:, None], homes, ABSENT)
    away, home = _places(rolled), _places(cyclic_shift(mended, -shift))
    unshifted, shifted = (_window_of(cut, window) for cut in (numbers, rolled))
    route: list[tuple[StepName, np.ndarray, np.ndarray | None]] = [
        ("grid", on_grid, None), ("pad", homes, None), ("partition", homes, unshifted), ("shift", away, None),
        ("ids", away, None), ("mask", away, shifted), ("attention", away, shifted), ("reverse", home, None),
        ("crop", np.where(real[:, None], home, ABSENT), None)]
    steps, before = [], on_grid
    for name, after, window_of in route:
        steps.append(Step(name=name, before=read_only(before), after=read_only(after),
                          moved=not np.array_equal(before, after),
                          window=None if window_of is None else read_only(window_of)))
        before = after
    return tuple(steps)


def _places(numbered: Tensor) -> np.ndarray:
    """Where each token stands on a map of token numbers.  Args: numbered: (1, gy, gx, 1).  Returns: (t, 2)."""
    order = numbered.flatten().argsort().numpy()
    return np.stack(np.divmod(order, numbered.shape[2]), axis=-1)


def _window_of(numbered: Tensor, window: int) -> np.ndarray:
    """The window that holds each token.  Args: numbered: (1, gy, gx, 1).  Returns: (t,)."""
    tokens = partition(numbered, window)[..., 0].numpy()  # w n
    holder = np.empty(tokens.size, np.int64)
    holder[tokens.flatten()] = np.repeat(np.arange(len(tokens)), tokens.shape[1])
    return holder
