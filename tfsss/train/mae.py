"""A small masked autoencoder on photographs: pre-training, three quarters of each picture removed."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import torch
from einops import repeat
from torch import Tensor, nn

from tfsss.data.inpainting import harmonic_filled, mean_filled
from tfsss.data.photos import MEAN, STD, Photos, data_folder, read_photos
from tfsss.layers.patch import CHANNELS_LAST, patchify, unpatchify
from tfsss.models.mae import VARIANTS, MAEConfig, MaskedAutoencoder, Reconstruction, mean_error
from tfsss.train.classify import normalise
from tfsss.train.engine import Plan, Task, shuffled
from tfsss.train.recipe import Recipe

VISIBLE = 0.1  # weight of the error on visible patches; the paper: 0, which leaves their guesses without any aim
SEAMS = 20.0  # weight of `seam_error`; the paper: 0, which leaves a lattice


class Guessing(Task):
    """The engine's `Task` for removed patches: flipped pictures and fresh noise in each step.

    As many patches are removed of every picture, so a part of a batch weighs what it has in pictures.

    Args:    validation: its first 512 pictures are looked at on the way, each with the same mask every time.
    """

    def __init__(self, train: Photos, validation: Photos, plan: Plan, config: MAEConfig):
        self.train, self.validation, self.plan, self.config = train, validation, plan, config

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = shuffled(len(self.train), self.plan.batch_size, step, self.plan.seed).numpy()
        images = normalise(self.train.pixels[rows])
        mirrored = torch.rand(len(images), generator=generator) < 0.5
        images[mirrored] = images[mirrored].flip(-1)
        return images, torch.rand(len(images), self.config.num_patches, generator=generator)

    def loss(self, model: nn.Module, images: Tensor, noise: Tensor) -> Tensor:
        """The paper's, and two smaller parts that it has not: see `VISIBLE` and `SEAMS`."""
        made: Reconstruction = model(images, noise)
        visible = mean_error(made.errors, 1 - made.shuffle.mask)
        seams = seam_error(raw(made, self.config), images, self.config.patch_size)
        return made.loss + VISIBLE * visible + SEAMS * seams

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return {"val_masked_mse": float(measured(model, self.validation.pixels[:512])["model"].mean())}

    def figures(self, model: nn.Module) -> dict[str, float]:
        """Means over every validation picture, and over those of each source: see `measured`."""
        sources = self.validation.sources
        chosen = {"all": np.full(len(sources), True)} | {name: sources == name for name in np.unique(sources).tolist()}
        values = measured(model, self.validation.pixels, fills=True)
        return {f"{name}_{source}": float(each[rows].mean())
                for source, rows in chosen.items() for name, each in values.items()}

    def card(self) -> dict[str, Any]:
        sources, counts = np.unique(self.validation.sources, return_counts=True)
        return {"mean": MEAN, "std": STD, "input_size": self.config.img_size, "classes": [],
                "pictures_measured": {"all": len(self.validation)} | dict(zip(sources.tolist(), counts.tolist()))}


@torch.no_grad()
def measured(model: MaskedAutoencoder, pixels: np.ndarray, *, fills: bool = False,
             batch_size: int = 64) -> dict[str, np.ndarray]:
    """Mean squared error on the removed patches of each picture, in units of ImageNet's deviation.

    Picture i is always masked by row i of the noise of seed 0.

    Args:    pixels: (n, H, W, 3) uint8.
    Returns: each (n,) float32: "model"; with `fills` also "mean" and "harmonic", the errors of those two
             (`tfsss.data.inpainting`), and "lattice", of the raw prediction.
    """
    config, device = model.config, next(model.parameters()).device
    noise = torch.rand(len(pixels), config.num_patches, generator=torch.Generator().manual_seed(0))
    errors: dict[str, list[Tensor]] = defaultdict(list)
    for start in range(0, len(pixels), batch_size):
        images = normalise(pixels[start:start + batch_size]).to(device)
        made: Reconstruction = model(images, noise[start:start + batch_size].to(device))
        mask = made.shuffle.mask
        errors["model"].append(per_picture(made.errors, mask))
        if fills:
            removed = pixel_mask(mask, config)
            for name, fill in (("mean", mean_filled), ("harmonic", harmonic_filled)):
                difference = (fill(images, removed) - images).square()
                errors[name].append(per_picture(patchify(difference, config.patch_size).mean(dim=-1), mask))
            errors["lattice"].append(lattice(raw(made, config), config.patch_size))
    return {name: torch.cat(parts).cpu().numpy() for name, parts in errors.items()}


def per_picture(errors: Tensor, mask: Tensor) -> Tensor:
    """`mean_error` of each picture apart.  Args: errors, mask: (b, n).  Returns: (b,)."""
    return torch.stack([mean_error(*one) for one in zip(errors, mask, strict=True)])


def raw(made: Reconstruction, config: MAEConfig) -> Tensor:
    """What was predicted for every patch, the visible ones too, as pictures.  Returns: (b, c, H, W)."""
    return unpatchify(made.prediction, config.grid, config.patch_size, CHANNELS_LAST)


def seam_error(images: Tensor, targets: Tensor, patch_size: int) -> Tensor:
    """How far the steps across patch borders are from what they should be: the mean squared difference.

    Each patch is guessed by a matrix of its own token; this is what tells neighbours to agree on where they meet.

    Args:    images, targets: (b, c, H, W).
    Returns: ().
    """
    off = images - targets
    p = patch_size
    steps = [(turned[..., p::p] - turned[..., p - 1:-1:p]).flatten() for turned in (off, off.mT)]
    return torch.cat(steps).square().mean()


def lattice(images: Tensor, patch_size: int) -> Tensor:
    """How much steeper pictures are across patch borders than inside patches; 1 = no lattice.

    Args:    images: (b, c, H, W).
    Returns: (b,), mean absolute difference of neighbouring pixels there, over the same here.
    """
    across, inside = [], []
    for turned in (images, images.mT):
        steps = turned.diff(dim=-1).abs()
        border = torch.arange(1, turned.shape[-1]) % patch_size == 0
        across.append(steps[..., border].flatten(1))
        inside.append(steps[..., ~border].flatten(1))
    return torch.cat(across, dim=1).mean(dim=1) / torch.cat(inside, dim=1).mean(dim=1)


def pixel_mask(mask: Tensor, config: MAEConfig) -> Tensor:
    """(b, n), 1 = removed, to (b, 1, H, W), True = removed."""
    (gy, gx), p = config.grid, config.patch_size
    return repeat(mask.bool(), "b (gy gx) -> b 1 (gy p) (gx q)", gy=gy, gx=gx, p=p, q=p)


def photographs(data: str | None, plan: Plan) -> Guessing:
    """The photographs of a data folder, those that belong to no class too."""
    folder = data_folder(data)
    train, validation = (read_photos(folder, split) for split in ("train", "val"))
    return Guessing(train, validation, plan, RECIPE.config)


RECIPE = Recipe(
    weights_id="mae_photos112",
    model=MaskedAutoencoder,
    config=VARIANTS["small_112"],
    task=photographs,
    plan=Plan(steps=13_650, batch_size=64, lr=1e-3, warmup=50, hold=8000, betas=(0.9, 0.95), weight_decay=0.05,
              ema=0.998, optimiser="muon", evaluate_every=250, save_every=50),
)
