"""Photographs to classes: the data, augmentation and figures that every classifier's recipe shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from tfsss.data.photos import MEAN, STD, Photos, data_folder, read_photos
from tfsss.train.engine import Plan, Task, shuffled
from tfsss.train.recipe import Recipe


def normalise(pixels: np.ndarray, mean: tuple[float, ...] = MEAN, std: tuple[float, ...] = STD) -> Tensor:
    """(b, H, W, c) uint8 to (b, c, H, W) float32 with this mean at 0 and this deviation 1; ImageNet's unless told."""
    images = rearrange(torch.tensor(pixels), "b H W c -> b c H W").float() / 255
    return (images - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)


def crop_and_flip(images: Tensor, smallest: float, generator: torch.Generator) -> Tensor:
    """A random part of each picture, at the full size again, mirrored half of the time.

    Args:    images: (b, c, H, W); smallest: least share of the area that a crop keeps.
    Returns: (b, c, H, W), bilinear.
    Source:  Szegedy et al. 2015 (Inception), arXiv:1409.4842, sec. 6: area and aspect ratio at random.
    """
    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(len(images)).uniform_(low, high, generator=generator)

    area, aspect = uniform(smallest, 1), uniform(-0.25, 0.25).exp()
    width, height = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    mirror = uniform(0, 1).sub(0.5).sign()
    zero = torch.zeros(len(images))
    maps = torch.stack([torch.stack([width * mirror, zero, uniform(-1, 1) * (1 - width)], dim=-1),
                        torch.stack([zero, height, uniform(-1, 1) * (1 - height)], dim=-1)], dim=1)  # b 2 3
    grid = F.affine_grid(maps, images.shape, align_corners=False)
    return F.grid_sample(images, grid, align_corners=False, padding_mode="reflection")


def jitter_colour(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Brightness, contrast and saturation of each picture, changed by up to `strength`.  Returns: (b, c, H, W)."""
    brightness, contrast, saturation = (
        torch.empty(len(images), 1, 1, 1).uniform_(-strength, strength, generator=generator) for _ in range(3))
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * (1 + saturation)
    middle = images.mean(dim=(1, 2, 3), keepdim=True)
    return middle + (images - middle) * (1 + contrast) + brightness


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How training pictures are changed; `sizes` are (first step, side in pixels), smaller pictures being cheaper."""

    smallest_crop: float = 0.35
    colour: float = 0.3
    label_smoothing: float = 0.1
    sizes: tuple[tuple[int, int], ...] = ((0, 112),)

    def side(self, step: int) -> int:
        return [side for first, side in self.sizes if step >= first][-1]


class Classification(Task):
    """The engine's `Task` for photographs with labels."""

    def __init__(self, train: Photos, validation: Photos, plan: Plan, augmentation: Augmentation):
        self.train, self.validation, self.plan, self.augmentation = train, validation, plan, augmentation

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = shuffled(len(self.train), self.plan.batch_size, step, self.plan.seed).numpy()
        images = normalise(self.train.pixels[rows], self.train.mean, self.train.std)
        images = crop_and_flip(images, self.augmentation.smallest_crop, generator)
        images = jitter_colour(images, self.augmentation.colour, generator)
        side = self.augmentation.side(step)
        if side != images.shape[-1]:
            images = F.interpolate(images, size=(side, side), mode="area")
        return images, torch.from_numpy(self.train.targets[rows])

    def loss(self, model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(model(images), targets, label_smoothing=self.augmentation.label_smoothing)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return {"val_top1": float(correct(model, self.validation).mean())}

    def figures(self, model: nn.Module) -> dict[str, float]:
        return by_source(correct(model, self.validation), self.validation.sources)

    def card(self) -> dict[str, Any]:
        return {"classes": self.train.classes, "mean": self.train.mean, "std": self.train.std,
                "input_size": self.train.pixels.shape[1]}


def by_source(right: np.ndarray, sources: np.ndarray) -> dict[str, float]:
    """Shares of right answers, over all pictures and over those of each source.  Args: both (n,)."""
    shares = {f"val_top1_{source}": float(right[sources == source].mean()) for source in sorted(set(sources))}
    return {"val_top1": float(right.mean())} | shares


def photo_classes(data: str | None, plan: Plan, augmentation: Augmentation) -> Classification:
    """The classes of the pack photos112.  Args: data: its folder; None = TFSSS_DATA."""
    train, validation = (read_photos(data_folder(data), split, labelled=True) for split in ("train", "val"))
    return Classification(train, validation, plan, augmentation)


def small_first(weights_id: str, model: Callable[[Any], nn.Module], config: Any) -> Recipe:
    """A classifier of photographs, from nothing: 5,000 steps on half-size pictures, which are cheaper, then 1,000."""
    augmentation = Augmentation(smallest_crop=0.25, sizes=((0, 56), (5000, 112)))
    return Recipe(
        weights_id=weights_id, model=model, config=config, task=partial(photo_classes, augmentation=augmentation),
        plan=Plan(steps=6000, batch_size=64, lr=2e-3, warmup=200, hold=3000, optimiser="muon", ema=0.998))


def class_scores(model: nn.Module, pixels: np.ndarray, mean: tuple[float, ...] = MEAN, std: tuple[float, ...] = STD,
                 batch_size: int = 128) -> Tensor:
    """What a classifier says of pictures.  Args: pixels: (n, H, W, c) uint8.  Returns: (n, k), on the CPU."""
    device = next(model.parameters()).device
    parts = [model(normalise(pixels[start:start + batch_size], mean, std).to(device)).cpu()
             for start in range(0, len(pixels), batch_size)]
    return torch.cat(parts)


def correct(model: nn.Module, photos: Photos, batch_size: int = 128) -> np.ndarray:
    """Whether the highest score is the right class's.  Returns: (n,) boolean."""
    answers = class_scores(model, photos.pixels, photos.mean, photos.std, batch_size).argmax(dim=-1)
    return answers.numpy() == photos.targets
