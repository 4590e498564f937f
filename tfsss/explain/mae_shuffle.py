"""The shuffle on numbers small enough to read, and what the encoder saves by not seeing."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.explain.inputs import normalise
from tfsss.explain.mae import masking
from tfsss.explain.patch_costs import flops
from tfsss.layers.masking import count_kept, shuffle_by, take
from tfsss.models.mae import MAEConfig

if TYPE_CHECKING:
    from tfsss.weights import Loaded

MOST_PATCHES = 64
MASK_TOKEN = -1  # stands for the mask token among patch numbers


@dataclass(frozen=True, kw_only=True)
class ShuffleSteps:
    """Every step from noise to restored order, with patch numbers in place of tokens; n patches, k kept."""

    grid: tuple[int, int]  # (gy, gx)
    noise: np.ndarray  # (n,) float32, two decimals
    ids_shuffle: np.ndarray  # (n,) int64, argsort of the noise: which patch goes to each place
    shuffled_noise: np.ndarray  # (n,) float32, the noise in that order: it rises
    ids_keep: np.ndarray  # (k,) int64, the first k
    kept: np.ndarray  # (k,) int64, the tokens that the encoder sees
    appended: np.ndarray  # (n,) int64, mask tokens (MASK_TOKEN) behind the kept ones
    ids_restore: np.ndarray  # (n,) int64, argsort of ids_shuffle: to which place each patch went
    restored: np.ndarray  # (n,) int64, appended[ids_restore]: kept tokens are at home, the gaps hold mask tokens
    mask: np.ndarray  # (n,) boolean, True = removed: ids_restore >= k
    wrong: np.ndarray  # (n,) int64, appended[ids_shuffle]: the common mistake
    round_trip: np.ndarray  # (n,) int64, ids_shuffle[ids_restore]: 0, 1, 2, ...


@dataclass(frozen=True, kw_only=True)
class Savings:
    """What one picture costs at r mask ratios; FLOPs count a multiplication and an addition as two, products only."""

    ratios: np.ndarray  # (r,) float32
    kept: np.ndarray  # (r,) int64, patches that the encoder sees
    encoder_tokens: np.ndarray  # (r,) int64, kept patches and the class token
    decoder_tokens: int  # all patches and the class token, whatever the ratio
    encoder: np.ndarray  # (r,) int64, FLOPs, patch embedding of all patches included
    decoder: int  # FLOPs
    mask_tokens: np.ndarray  # (r,) int64, FLOPs of the same encoder if it were shown mask tokens too (as in BEiT)


@dataclass(frozen=True, kw_only=True)
class Times:
    """Measured here and now, one picture, median of the repeats, in milliseconds."""

    ratios: np.ndarray  # (r,) float32
    encoder: np.ndarray  # (r,) float64
    decoder: np.ndarray  # (r,) float64
    repeats: int


def shuffle_steps(grid: tuple[int, int] = (2, 4), num_keep: int = 2, *, seed: int = 0) -> ShuffleSteps:
    """The functions that the model runs, on patch numbers.

    Args:    grid: (gy, gx), at most 64 patches; seed: draws the noise, of two decimals, no two equal.
    Raises:  InputError: too many patches to read, or more kept than there are.
    """
    count = grid[0] * grid[1]
    if not 1 <= count <= MOST_PATCHES:
        raise InputError("mae.shuffle", rows=grid[0], columns=grid[1], limit=MOST_PATCHES)
    if not 0 <= num_keep <= count:
        raise InputError("mae.keep", kept=num_keep, patches=count)
    hundredths = torch.randperm(100, generator=torch.Generator().manual_seed(seed))[:count]
    noise = hundredths / 100
    made = shuffle_by(noise[None], num_keep)
    tokens = rearrange(torch.arange(count), "n -> 1 n 1")
    kept = take(tokens, made.ids_keep)
    appended = torch.cat([kept, torch.full((1, count - num_keep, 1), MASK_TOKEN)], dim=1)

    def row(values: Tensor) -> np.ndarray:
        return read_only(values.flatten())

    return ShuffleSteps(grid=grid, noise=row(noise), ids_shuffle=row(made.ids_shuffle),
                        shuffled_noise=row(noise[made.ids_shuffle]), ids_keep=row(made.ids_keep), kept=row(kept),
                        appended=row(appended), ids_restore=row(made.ids_restore),
                        restored=row(take(appended, made.ids_restore)), mask=row(made.mask.bool()),
                        wrong=row(take(appended, made.ids_shuffle)),
                        round_trip=row(made.ids_shuffle.gather(1, made.ids_restore)))


def savings(config: MAEConfig, ratios: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 0.9)) -> Savings:
    """Tokens and operations of encoder and decoder against the mask ratio."""
    encoder, decoder, count = config.encoder, config.decoder, config.num_patches
    kept = [count_kept(count, ratio) for ratio in ratios]
    whole = flops(encoder, count, config.patch_size)
    blocks = [flops(encoder, number, config.patch_size) for number in kept]
    work = flops(decoder, count, config.patch_size)
    edges = 2 * decoder.embed_dim * (count + 1) * config.patch_dim  # decoder_pred
    seen = np.array([one.total - one.patch_embed + whole.patch_embed for one in blocks], np.int64)
    widths = np.array([2 * config.embed_dim * decoder.embed_dim * (number + 1) for number in kept], np.int64)
    return Savings(ratios=read_only(np.array(ratios, np.float32)), kept=read_only(np.array(kept, np.int64)),
                   encoder_tokens=read_only(np.array(kept, np.int64) + 1), decoder_tokens=count + 1,
                   encoder=read_only(seen + widths), decoder=work.total - work.patch_embed + edges,
                   mask_tokens=read_only(np.full(len(ratios), whole.total, np.int64) + widths[:1]))


@torch.inference_mode()
def times(pixels: np.ndarray, loaded: Loaded, ratios: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 0.9), *,
          repeats: int = 5) -> Times:
    """How long encoder and decoder take on this picture, at each ratio, after one run to warm up."""
    model, images = loaded.model, normalise(pixels, loaded.entry)
    taken = np.empty((2, len(ratios), repeats))
    for column, ratio in enumerate(ratios):
        chosen = masking(model.config, "random", ratio)
        shuffle = shuffle_by(torch.tensor(chosen.noise)[None], chosen.num_keep)
        model.decode(model.encode(images, shuffle), shuffle)
        for repeat in range(repeats):
            start = time.perf_counter()
            latent = model.encode(images, shuffle)
            between = time.perf_counter()
            model.decode(latent, shuffle)
            taken[:, column, repeat] = between - start, time.perf_counter() - between
    encoder, decoder = np.median(taken, axis=2) * 1000
    return Times(ratios=read_only(np.array(ratios, np.float32)), encoder=read_only(encoder),
                 decoder=read_only(decoder), repeats=repeats)
