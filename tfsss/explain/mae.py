"""What a masked autoencoder guesses: one picture and one mask, or a whole grid of ratios and seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from einops import rearrange, reduce, repeat
from torch import Tensor

from tfsss.data.inpainting import harmonic_filled, mean_filled
from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.explain.inputs import normalise
from tfsss.explain.mae_targets import Way, to_pixels, way_back
from tfsss.layers.masking import block_mask, count_kept, grid_noise, noise_from_mask
from tfsss.layers.patch import CHANNELS_LAST, patchify, unpatchify
from tfsss.models.mae import MAEConfig, mean_error

if TYPE_CHECKING:
    from tfsss.weights import Entry, Loaded

Pattern = Literal["random", "block", "grid", "painted"]
PATTERNS: tuple[Pattern, ...] = get_args(Pattern)
GREY = 127  # of a removed patch in `masked`; figures hatch it


@dataclass(frozen=True, kw_only=True)
class Masking:
    """Which patches are removed, as the model is told: the `num_keep` with the smallest noise stay."""

    noise: np.ndarray  # (n,) float32
    num_keep: int
    pattern: Pattern
    grid: tuple[int, int]  # (gy, gx)


@dataclass(frozen=True, kw_only=True)
class Guess:
    """One forward of a masked autoencoder. Errors are squared and in units of the weights' `std`, over channels."""

    original: np.ndarray  # (H, W, 3) uint8
    masked: np.ndarray  # (H, W, 3) uint8, removed patches grey
    raw: np.ndarray  # (H, W, 3) uint8, the prediction for every patch; a visible one is guessed badly, on purpose
    pasted: np.ndarray  # (H, W, 3) uint8, the prediction where patches were removed, the original elsewhere
    prediction: np.ndarray  # (n, p*q*c) float32, as the decoder gives it: channels last, normalised
    error_pixels: np.ndarray  # (H, W) float32, mean over channels
    error_patches: np.ndarray  # (gy, gx) float32
    loss_masked: float  # mean over the removed patches; 0 if there are none
    loss_visible: float  # mean over the kept patches; 0 if there are none
    loss_all: float
    mask: np.ndarray  # (gy, gx) boolean, True = removed
    noise: np.ndarray  # (n,) float32
    ids_shuffle: np.ndarray  # (n,) int64
    ids_restore: np.ndarray  # (n,) int64
    ids_keep: np.ndarray  # (k,) int64
    patch_size: int
    clipped: float  # share of the raw values that no screen can show and that were cut off
    way: Way | None  # how a normalised prediction came back to colour; None = the model guesses colours
    weights: Literal["trained", "random"]


@dataclass(frozen=True, kw_only=True)
class Fills:
    """What the same gaps look like, filled without having learned anything."""

    mean: np.ndarray  # (H, W, 3) uint8, with the mean colour of the visible pixels
    harmonic: np.ndarray  # (H, W, 3) uint8, Laplace's equation
    loss_mean: float  # on the removed patches, as `Guess.loss_masked`
    loss_harmonic: float


@dataclass(frozen=True, kw_only=True)
class RatioGrid:
    """r ratios down, s seeds across; all from the same picture."""

    ratios: tuple[float, ...]
    seeds: tuple[int, ...]
    masked: np.ndarray  # (r, s, H, W, 3) uint8
    raw: np.ndarray  # (r, s, H, W, 3) uint8
    pasted: np.ndarray  # (r, s, H, W, 3) uint8
    masks: np.ndarray  # (r, s, gy, gx) boolean, True = removed
    loss_masked: np.ndarray  # (r, s) float32
    pattern: Pattern
    weights: Literal["trained", "random"]


def masking(config: MAEConfig, pattern: Pattern, ratio: float = 0.75, *, seed: int = 0,
            painted: np.ndarray | None = None) -> Masking:
    """A pattern as noise.

    Args:    ratio: share to remove, 0..1; a painted mask has its own.
             seed: draws random noise and blocks, and shifts the grid (0 keeps the top left patch).
             painted: (gy, gx) or (n,) boolean, True = removed; needed by "painted".
    Raises:  InputError: a ratio outside 0..1, or a painted mask of another size.
    """
    grid, count = config.grid, config.num_patches
    if not 0 <= ratio <= 1:
        raise InputError("mae.ratio", ratio=ratio)
    generator = torch.Generator().manual_seed(seed)
    if pattern == "random":
        noise, keep = torch.rand(count, generator=generator), count_kept(count, ratio)
    elif pattern == "grid":
        noise, keep = grid_noise(grid, (seed % 2, seed // 2 % 2)), count_kept(count, ratio)
    else:
        if pattern == "painted" and (painted is None or painted.size != count):
            raise InputError("mae.painted", patches=0 if painted is None else painted.size, needed=count)
        mask = block_mask(grid, ratio, generator) if pattern == "block" else torch.tensor(painted).bool().flatten()
        noise, keep = noise_from_mask(mask), int((~mask).sum())
    return Masking(noise=read_only(noise), num_keep=keep, pattern=pattern, grid=grid)


@torch.inference_mode()
def guess(pixels: np.ndarray, loaded: Loaded, chosen: Masking, *, way: Way = "visible") -> Guess:
    """Run the model on a picture with these patches removed.

    Args:    pixels: (H, W, 3) uint8, of the model's size.
             way: how a model with normalised targets gets back to colour (see `tfsss.explain.mae_targets`).
    Raises:  InputError: the picture has another size than the model.
    """
    config, images = loaded.model.config, normalise(pixels, loaded.entry)
    made = loaded.model(images, torch.tensor(chosen.noise)[None], chosen.num_keep)
    mask = made.shuffle.mask
    colours = _colours(made.prediction, images, mask, config, way)
    difference = (colours - images).square().mean(dim=1)[0]  # H W
    errors = reduce(difference, "(gy p) (gx q) -> gy gx", "mean", p=config.patch_size, q=config.patch_size)
    flat = rearrange(errors, "gy gx -> 1 (gy gx)")
    raw, pasted, masked, clipped = _pictures(pixels[None], colours, mask, config, loaded.entry)
    return Guess(original=read_only(pixels), masked=masked[0], raw=raw[0], pasted=pasted[0],
                 prediction=read_only(made.prediction[0]), error_pixels=read_only(difference),
                 error_patches=read_only(errors), loss_masked=float(mean_error(flat, mask)),
                 loss_visible=float(mean_error(flat, 1 - mask)), loss_all=float(mean_error(flat)),
                 mask=read_only(mask[0].bool().view(config.grid)),
                 **{name: read_only(getattr(made.shuffle, name)[0])
                    for name in ("noise", "ids_shuffle", "ids_restore", "ids_keep")},
                 patch_size=config.patch_size, clipped=clipped, way=way if config.norm_pix_loss else None,
                 weights=loaded.entry.weights)


@torch.inference_mode()
def fills(pixels: np.ndarray, loaded: Loaded, mask: np.ndarray) -> Fills:
    """The two fills that a guess has to beat.  Args: mask: (gy, gx) boolean, True = removed, as `Guess.mask`."""
    config, images = loaded.model.config, normalise(pixels, loaded.entry)
    flat = torch.tensor(mask).view(1, -1)
    removed = _enlarged(flat, config)
    made = {"mean": mean_filled(images, removed), "harmonic": harmonic_filled(images, removed)}
    losses = {f"loss_{name}": float(mean_error(patchify((filled - images).square(), config.patch_size).mean(dim=-1),
                                               flat.float())) for name, filled in made.items()}
    return Fills(**{name: read_only(to_pixels(filled, loaded.entry)[0][0]) for name, filled in made.items()}, **losses)


@torch.inference_mode()
def ratio_grid(pixels: np.ndarray, loaded: Loaded, ratios: tuple[float, ...] = (0.25, 0.5, 0.75, 0.9),
               seeds: tuple[int, ...] = (0, 1, 2, 3), *, pattern: Pattern = "random",
               way: Way = "visible") -> RatioGrid:
    """The same picture under many masks, a batch for each ratio.

    Args:    pattern: any but "painted", which has one ratio.
    Raises:  InputError: a ratio outside 0..1, or another size than the model's.
    """
    if pattern == "painted":
        raise ValueError("a painted mask has neither ratio nor seed")
    config = loaded.model.config
    images = repeat(normalise(pixels, loaded.entry), "1 c H W -> s c H W", s=len(seeds))
    rows = []
    for ratio in ratios:
        chosen = [masking(config, pattern, ratio, seed=seed) for seed in seeds]
        made = loaded.model(images, torch.tensor(np.stack([one.noise for one in chosen])), chosen[0].num_keep)
        mask = made.shuffle.mask
        colours = _colours(made.prediction, images, mask, config, way)
        errors = patchify((colours - images).square(), config.patch_size).mean(dim=-1)
        loss = [mean_error(*one) for one in zip(errors, mask, strict=True)]
        pictures = _pictures(np.stack([pixels] * len(seeds)), colours, mask, config, loaded.entry)[:3]
        rows.append((*pictures, mask.bool().view(-1, *config.grid).numpy(), torch.stack(loss).numpy()))
    raw, pasted, masked, masks, losses = (read_only(np.stack(column)) for column in zip(*rows, strict=True))
    return RatioGrid(ratios=tuple(ratios), seeds=tuple(seeds), masked=masked, raw=raw, pasted=pasted, masks=masks,
                     loss_masked=losses, pattern=pattern, weights=loaded.entry.weights)


def _colours(prediction: Tensor, images: Tensor, mask: Tensor, config: MAEConfig, way: Way) -> Tensor:
    """The decoder's numbers as pictures (b, c, H, W) in the weights' normalisation."""
    if config.norm_pix_loss:
        prediction = way_back(prediction, images, mask, config, way).values
    return unpatchify(prediction, config.grid, config.patch_size, CHANNELS_LAST)


def _pictures(pixels: np.ndarray, colours: Tensor, mask: Tensor, config: MAEConfig,
              entry: Entry) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Raw, pasted and masked pictures, each (b, H, W, 3) uint8, and the share of raw values cut off."""
    removed = rearrange(_enlarged(mask.bool(), config), "b 1 H W -> b H W 1").numpy()
    raw, clipped = to_pixels(colours, entry)
    return (read_only(raw), read_only(np.where(removed, raw, pixels)),
            read_only(np.where(removed, np.uint8(GREY), pixels)), clipped)


def _enlarged(mask: Tensor, config: MAEConfig) -> Tensor:
    """(b, n) boolean to (b, 1, H, W)."""
    (gy, gx), p = config.grid, config.patch_size
    return repeat(mask, "b (gy gx) -> b 1 (gy p) (gx q)", gy=gy, gx=gx, p=p, q=p)
