"""A tiny ViT that reads handwritten digits: 49 patches of 4 x 4 pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tfsss.data.digits import MEAN, STD, Digits, read_digits
from tfsss.data.photos import data_folder
from tfsss.models.vit import VisionTransformer, ViTConfig
from tfsss.train import classify
from tfsss.train.engine import Plan, Task, shuffled
from tfsss.train.recipe import Recipe


def normalise(pixels: np.ndarray) -> Tensor:
    """(b, 28, 28) uint8 to (b, 1, 28, 28) float32 with the training digits' mean 0 and deviation 1."""
    return classify.normalise(pixels[..., None], (MEAN,), (STD,))


def jostle(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each digit turned by up to 12 degrees, stretched by up to 12 % and moved by up to 2 pixels.

    Args:    images: (b, 1, 28, 28), normalised.
    Returns: the same shape, bilinear; what comes in from outside is paper.
    """
    def uniform(bound: float) -> Tensor:
        return torch.empty(len(images)).uniform_(-bound, bound, generator=generator)

    angle, stretch_x, stretch_y = uniform(0.21), uniform(0.12).exp(), uniform(0.12).exp()
    cos, sin = angle.cos(), angle.sin()
    maps = torch.stack([torch.stack([stretch_x * cos, -sin, uniform(4 / 28)], dim=-1),
                        torch.stack([sin, stretch_y * cos, uniform(4 / 28)], dim=-1)], dim=1)  # b 2 3
    grid = F.affine_grid(maps, images.shape, align_corners=False)
    paper = -MEAN / STD
    return F.grid_sample(images - paper, grid, align_corners=False) + paper


class Reading(Task):
    """The engine's `Task` for digits.  Args: validation: the test split, judged on its first 2,000 on the way."""

    def __init__(self, train: Digits, validation: Digits, plan: Plan):
        self.train, self.validation, self.plan = train, validation, plan

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = shuffled(len(self.train), self.plan.batch_size, step, self.plan.seed).numpy()
        return jostle(normalise(self.train.pixels[rows]), generator), torch.from_numpy(self.train.targets[rows])

    def loss(self, model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(model(images), targets, label_smoothing=0.1)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return {"test_top1": float(self.right(model, 2000).mean())}

    def figures(self, model: nn.Module) -> dict[str, float]:
        """Shares of the whole test split that are read right: all, and by digit."""
        right = self.right(model, len(self.validation))
        each = {f"test_top1_{digit}": float(right[self.validation.targets == digit].mean()) for digit in range(10)}
        return {"test_top1": float(right.mean())} | each

    def right(self, model: nn.Module, count: int) -> np.ndarray:
        """Whether each of the first digits is read right.  Returns: (count,) boolean."""
        scores = classify.class_scores(model, self.validation.pixels[:count, ..., None], (MEAN,), (STD,))
        return scores.argmax(dim=-1).numpy() == self.validation.targets[:count]

    def card(self) -> dict[str, Any]:
        return {"mean": [MEAN], "std": [STD], "input_size": 28, "classes": [str(digit) for digit in range(10)]}


def handwriting(data: str | None, plan: Plan) -> Reading:
    """MNIST out of a data folder."""
    folder = data_folder(data)
    return Reading(*(read_digits(folder, split) for split in ("train", "test")), plan)


RECIPE = Recipe(
    weights_id="vit_mnist28",
    model=VisionTransformer,
    config=ViTConfig(img_size=28, patch_size=4, in_channels=1, num_classes=10, embed_dim=96, depth=4, num_heads=3,
                     mlp_ratio=3.0),
    task=handwriting,
    plan=Plan(steps=2500, batch_size=128, lr=2e-3, warmup=200, weight_decay=0.05, ema=0.995, optimiser="muon"),
)
