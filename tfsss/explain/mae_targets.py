"""Normalised-pixel targets: what they keep of a picture, and three ways back to colour, one of which leaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from tfsss.data.inpainting import harmonic_filled
from tfsss.explain.arrays import read_only
from tfsss.explain.inputs import normalise
from tfsss.layers.patch import CHANNELS_LAST, patchify, unpatchify
from tfsss.models.mae import MAEConfig, mean_error, patch_targets

if TYPE_CHECKING:
    from tfsss.explain.mae import Masking
    from tfsss.weights import Entry, Loaded

# "answer": each patch's own mean and deviation, read from the original, that of removed patches too. It leaks.
# "visible": one mean and one deviation for all, averaged over the visible patches.
# "neighbours": those of the visible patches, carried into the gaps as a soap film (Laplace's equation on the patches).
Way = Literal["answer", "visible", "neighbours"]
WAYS: tuple[Way, ...] = get_args(Way)
LEAKS: frozenset[Way] = frozenset({"answer"})


class Statistics(NamedTuple):
    """Mean and deviation of each patch, over its pixels and channels together, as MAE normalises: each (b, n, 1)."""

    mean: Tensor
    deviation: Tensor


class Returned(NamedTuple):
    """Patches in colour again."""

    values: Tensor  # (b, n, p*q*c)
    used: Statistics


@dataclass(frozen=True, kw_only=True)
class OneWay:
    """A way back to colour, and how far from the original it ends."""

    way: Way
    leaks: bool  # whether it used what the model was not shown
    mean: np.ndarray  # (gy, gx) float32, what each patch was given
    deviation: np.ndarray  # (gy, gx) float32
    raw: np.ndarray  # (H, W, 3) uint8
    pasted: np.ndarray  # (H, W, 3) uint8, visible patches from the original
    loss_masked: float  # squared error on the removed patches, in colour, as `Guess.loss_masked`


@dataclass(frozen=True, kw_only=True)
class WaysBack:
    """The three ways from the same normalised patches."""

    targets: np.ndarray  # (H, W, 3) float32, each patch with mean 0 and deviation 1; draw it symmetric about 0
    mean: np.ndarray  # (gy, gx) float32, what normalising took away
    deviation: np.ndarray  # (gy, gx) float32
    ways: tuple[OneWay, ...]  # in the order of `WAYS`
    guessed_by: Literal["nobody", "model", "model, normalised"]  # whose normalised patches are brought back


def statistics(images: Tensor, config: MAEConfig) -> Statistics:
    """What `patch_targets(..., normalised=True)` takes away from each patch."""
    patches = patchify(images, config.patch_size, CHANNELS_LAST)
    return Statistics(patches.mean(dim=-1, keepdim=True), (patches.var(dim=-1, keepdim=True) + 1e-6).sqrt())


def way_back(normalised: Tensor, images: Tensor, mask: Tensor, config: MAEConfig, way: Way) -> Returned:
    """Normalised patches to colours. Visible patches always get their own mean and deviation: they were seen.

    Args:    normalised: (b, n, p*q*c); images: (b, c, H, W), of which "visible" and "neighbours" read only what is
             visible; mask: (b, n), 1 = removed.
    """
    own = statistics(images, config)
    if way == "answer":
        used = own
    else:
        maps = rearrange(torch.cat(own, dim=-1), "b (gy gx) two -> b two gy gx", gy=config.grid[0])
        removed = rearrange(mask.bool(), "b (gy gx) -> b 1 gy gx", gy=config.grid[0])
        kept = (~removed).float()
        count = kept.sum(dim=(2, 3), keepdim=True)
        average = (maps * kept).sum(dim=(2, 3), keepdim=True) / count.clamp(min=1)
        nothing_seen = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)  # then the data's own mean and deviation are left
        filled = torch.where(removed, average, maps)
        if way == "neighbours":
            filled = harmonic_filled(filled, removed, tolerance=1e-5)
        filled = torch.where(count > 0, filled, nothing_seen)
        used = Statistics(*rearrange(filled, "b two gy gx -> two b (gy gx) 1"))
    return Returned(normalised * used.deviation + used.mean, used)


@torch.inference_mode()
def ways_back(pixels: np.ndarray, loaded: Loaded, chosen: Masking, *, perfect: bool = False) -> WaysBack:
    """All three ways side by side.

    Args:    perfect: bring back the normalised targets themselves, as if every patch had been guessed without a fault;
             what is still wrong is then the way's alone. False = what the model guesses; a model that guesses colours
             has each of its patches normalised first.
    Raises:  InputError: the picture has another size than the model.
    """
    config, images = loaded.model.config, normalise(pixels, loaded.entry)
    made = loaded.model(images, torch.tensor(chosen.noise)[None], chosen.num_keep)
    mask, own = made.shuffle.mask, statistics(images, config)
    targets = patch_targets(images, config.patch_size, normalised=True)
    brought, guessed_by = made.prediction, "model"
    if perfect:
        brought, guessed_by = targets, "nobody"
    elif not config.norm_pix_loss:
        picture = unpatchify(made.prediction, config.grid, config.patch_size, CHANNELS_LAST)
        brought, guessed_by = patch_targets(picture, config.patch_size, normalised=True), "model, normalised"
    ways = []
    removed = mask[0].bool().view(*config.grid, 1).numpy().repeat(config.patch_size, 0).repeat(config.patch_size, 1)
    for way in WAYS:
        values, used = way_back(brought, images, mask, config, way)
        errors = (values - patchify(images, config.patch_size, CHANNELS_LAST)).square().mean(dim=-1)
        raw = to_pixels(unpatchify(values, config.grid, config.patch_size, CHANNELS_LAST), loaded.entry)[0][0]
        ways.append(OneWay(way=way, leaks=way in LEAKS, mean=_map(used.mean, config),
                           deviation=_map(used.deviation, config), raw=read_only(raw),
                           pasted=read_only(np.where(removed, raw, pixels)),
                           loss_masked=float(mean_error(errors, mask))))
    picture = unpatchify(targets, config.grid, config.patch_size, CHANNELS_LAST)
    return WaysBack(targets=read_only(rearrange(picture, "1 c H W -> H W c")), mean=_map(own.mean, config),
                    deviation=_map(own.deviation, config), ways=tuple(ways), guessed_by=guessed_by)


def to_pixels(images: Tensor, entry: Entry) -> tuple[np.ndarray, float]:
    """The inverse of `normalise`.  Returns: (b, H, W, 3) uint8, and the share of values cut off to fit 0..255."""
    mean, std = (rearrange(torch.tensor(value), "c -> 1 c 1 1") for value in (entry.mean, entry.std))
    values = rearrange((images * std + mean) * 255, "b c H W -> b H W c")
    outside = (values < -0.5) | (values > 255.5)
    return values.round().clamp(0, 255).to(torch.uint8).numpy(), float(outside.float().mean())


def _map(values: Tensor, config: MAEConfig) -> np.ndarray:
    """(1, n, 1) to (gy, gx)."""
    return read_only(rearrange(values, "1 (gy gx) 1 -> gy gx", gy=config.grid[0]))
