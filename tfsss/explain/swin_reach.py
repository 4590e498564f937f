"""How far a token can be heard: which outputs change when it does, block after block, and what the masks allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from einops import rearrange, reduce
from torch import Tensor

from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.explain.inputs import normalise
from tfsss.explain.swin import block_of, check, entering_maps
from tfsss.layers.windows import cyclic_shift, pad_to_multiple, partition, window_mask
from tfsss.models.swin import Block, SwinConfig, shift_of
from tfsss.probe import capture

if TYPE_CHECKING:
    from tfsss.weights import Loaded

MAX_BLOCKS = 8


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What one token reaches after 1, 2, ..., k blocks."""

    grid: tuple[int, int]  # (gy, gx)
    token: tuple[int, int]  # row, column
    window: int
    shifts: tuple[int, ...]  # (k) by how much each block rolls
    changed: np.ndarray  # (k, gy, gx) boolean, outputs that changed when the token did: the layers were really run
    by_masks: np.ndarray  # (k, gy, gx) boolean, what the blocks' masks allow, step after step
    amount: np.ndarray  # (k, gy, gx) float32, largest change over the channels
    counts: np.ndarray  # (k,) int64, tokens in `changed`
    weights: Literal["trained", "random"]


@dataclass(frozen=True, kw_only=True)
class StageReach:
    """What one token of the first grid reaches in every block of one stage."""

    stage: int
    grid: tuple[int, int]  # (gy, gx) of this stage: halved by each merging
    shifts: tuple[int, ...]
    changed: np.ndarray  # (k, gy, gx) boolean, as in `Reach`
    by_masks: np.ndarray  # (k, gy, gx) boolean
    amount: np.ndarray  # (k, gy, gx) float32


def reach(grid: tuple[int, int], token: tuple[int, int], *, window: int = 7, shift: int | None = None, blocks: int = 4,
          mask_padding: bool = False, seed: int = 0) -> Reach:
    """Reach on any grid, through small blocks of the model's class with random weights.

    Args:    grid: (gy, gx); token: row and column; window, shift: as `tfsss.explain.swin.windows`; every second block
             shifts, and 0 means that none does; seed: draws weights and map.
    Raises:  InputError: no such grid, token, window or shift, or too many blocks.
    """
    shift = check(grid, window, shift)
    if not 1 <= blocks <= MAX_BLOCKS:
        raise InputError("swin.blocks", blocks=blocks, limit=MAX_BLOCKS)
    config = SwinConfig(embed_dim=8, depths=(blocks,), num_heads=(1,), window_size=window)
    generator = torch.Generator().manual_seed(seed)
    layers = [Block(config, 8, 1, drop_path=0.0).double().eval().requires_grad_(False) for _ in range(blocks)]
    for parameter in (parameter for layer in layers for parameter in layer.parameters()):
        parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.3)
    x = torch.randn(1, *grid, 8, generator=generator, dtype=torch.float64)
    return _reach(layers, x, token, tuple(shift * (number % 2) for number in range(blocks)), mask_padding, "random")


def reach_in_stage(pixels: np.ndarray, loaded: Loaded, token: tuple[int, int], *, stage: int = 0) -> Reach:
    """Reach through the blocks of one stage of these weights, on the map that this picture gives it.

    Args:    pixels: (H, W, 3) uint8; token: row and column on the stage's grid.
    """
    block_of(loaded, stage, 0)
    blocks = list(loaded.model.layers[stage].blocks)
    x = entering_maps(pixels, loaded)[stage][0]
    shifts = tuple(shift_of(number, x.shape[1:3], block.window) for number, block in enumerate(blocks))
    return _reach(blocks, x, token, shifts, False, loaded.entry.weights)


@torch.inference_mode()
def reach_in_model(pixels: np.ndarray, loaded: Loaded, token: tuple[int, int]) -> tuple[StageReach, ...]:
    """Reach of a token of the first grid through the whole model, mergings too: its pixels are changed.

    Args:    pixels: (H, W, 3) uint8; token: row and column on the first grid.
    Raises:  InputError: the token is not on the grid.
    """
    model, images = loaded.model, normalise(pixels, loaded.entry)
    p = model.config.patch_size
    first = tuple(-(-side // p) for side in images.shape[-2:])
    _check_token(first, token)
    spoken = torch.zeros(first, dtype=torch.bool)
    spoken[token] = True
    seen = []
    patch = slice(token[0] * p, token[0] * p + p), slice(token[1] * p, token[1] * p + p)
    for changed in (False, True):
        fed = images.clone()
        if changed:
            fed[:, :, *patch] = _other(fed[:, :, *patch])
        with capture(model, "layers.*.blocks.*.output") as outputs:
            model(fed)
        seen.append(outputs)
    found = []
    for number, stage in enumerate(model.layers):
        names = [f"layers.{number}.blocks.{block}.output" for block in range(len(stage.blocks))]
        amounts = torch.stack([_amount(seen[0][name], seen[1][name]) for name in names])
        shifts = tuple(shift_of(block, spoken.shape, stage.window) for block in range(len(names)))
        allowed = _by_masks(spoken, stage.window, shifts, False)
        found.append(StageReach(stage=number, grid=tuple(spoken.shape), shifts=shifts, changed=read_only(amounts > 0),
                                by_masks=read_only(allowed), amount=read_only(amounts.float())))
        even = pad_to_multiple(rearrange(allowed[-1], "gy gx -> 1 gy gx 1").byte(), 2)
        spoken = reduce(even, "1 (gy p) (gx q) 1 -> gy gx", "max", p=2, q=2).bool()
    return tuple(found)


@torch.inference_mode()
def _reach(blocks: list[Block], x: Tensor, token: tuple[int, int], shifts: tuple[int, ...], mask_padding: bool,
           weights: Literal["trained", "random"]) -> Reach:
    """Run the blocks on a map and on the same map with another token, and compare bit for bit.

    Args:    x: (1, gy, gx, d).
    """
    grid, window = tuple(x.shape[1:3]), blocks[0].window
    _check_token(grid, token)
    other = x.clone()
    other[0, *token] = _other(x[0, *token])
    amounts = []
    for block, shift in zip(blocks, shifts, strict=True):
        allowed = window_mask(grid, window, shift, mask_padding=mask_padding)
        x, other = block(x, shift, allowed), block(other, shift, allowed)
        amounts.append(_amount(x, other))
    spoken = torch.zeros(grid, dtype=torch.bool)
    spoken[token] = True
    changed = torch.stack(amounts) > 0
    return Reach(grid=grid, token=tuple(token), window=window, shifts=shifts, changed=read_only(changed),
                 by_masks=read_only(_by_masks(spoken, window, shifts, mask_padding)),
                 amount=read_only(torch.stack(amounts).float()), counts=read_only(changed.sum(dim=(1, 2))),
                 weights=weights)


def _by_masks(spoken: Tensor, window: int, shifts: tuple[int, ...], mask_padding: bool) -> Tensor:
    """Who has heard of some tokens after each block: (k, gy, gx) boolean.

    A token hears of them in a block if it may attend to one who had, or had itself (the residual). Padding is made
    anew in each block, so nothing travels through it.

    Args:    spoken: (gy, gx) boolean, who knows at the start.
    """
    grid, heard = tuple(spoken.shape), []
    for shift in shifts:
        padded = pad_to_multiple(rearrange(spoken, "gy gx -> 1 gy gx 1").byte(), window)
        rolled = partition(cyclic_shift(padded, shift), window)[..., 0].bool()  # w n
        allowed = window_mask(grid, window, shift, mask_padding=mask_padding)
        hears = (allowed & rolled[:, None, :]).any(dim=-1) | rolled
        places = partition(cyclic_shift(torch.arange(padded.numel()).view_as(padded), shift), window)[..., 0]
        home = torch.empty(padded.numel(), dtype=torch.bool)
        home[places] = hears
        spoken = home.view(padded.shape[1:3])[:grid[0], :grid[1]]
        heard.append(spoken)
    return torch.stack(heard)


def _other(values: Tensor) -> Tensor:
    """Something quite different in the place of these values, of about their size."""
    return 1 - 2 * values.flip(-1)


def _amount(one: Tensor, other: Tensor) -> Tensor:
    """Largest difference of each token over the channels.  Args: (1, gy, gx, d).  Returns: (gy, gx)."""
    return (one - other)[0].abs().amax(dim=-1)


def _check_token(grid: tuple[int, int], token: tuple[int, int]) -> None:
    if not (0 <= token[0] < grid[0] and 0 <= token[1] < grid[1]):
        raise InputError("swin.no_token", row=token[0], column=token[1], rows=grid[0], columns=grid[1])
