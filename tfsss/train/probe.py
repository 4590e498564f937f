"""A linear probe: DINOv2's class token of every photograph, computed once and kept, and one matrix that reads classes.

Source: Alain & Bengio 2016, arXiv:1610.01644; on DINOv2: Oquab et al. 2023, arXiv:2304.07193, sec. 7.1.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tfsss import weights
from tfsss.data.photos import Photos, data_folder, read_photos
from tfsss.train.classify import by_source, normalise
from tfsss.train.engine import Plan, Task, shuffled
from tfsss.train.recipe import Recipe
from tfsss.weights.home import home

BACKBONE = "vit_s14_dinov2"
BATCH = 16  # pictures of one forward: more are slower on a CPU


@dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """What the matrix reads, and how many classes it tells apart."""

    embed_dim: int = 384
    num_classes: int = 179


class LinearProbe(nn.Module):
    """Features to scores, in one step.  State-dict keys: those of a ViT's class head."""

    def __init__(self, config: ProbeConfig):
        super().__init__()
        self.config = config
        self.head = nn.Linear(config.embed_dim, config.num_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Tensor) -> Tensor:  # (b, d) to (b, k)
        return self.head(features)


def class_tokens(photos: Photos, split: str) -> np.ndarray:
    """DINOv2's final class token of each picture, enlarged to 224 x 224.

    Kept in the cache folder, row by row, so that a run that is cut off goes on where it was.

    Returns: (n, d) float32.
    """
    folder = home() / "features"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{BACKBONE}_photos112_{split}_{len(photos)}.npy"
    model, side = (loaded := weights.load(BACKBONE)).model, loaded.entry.input_size
    shape = (len(photos), loaded.entry.config.embed_dim)
    if file.is_file():
        kept = np.lib.format.open_memmap(file, mode="r+")
    else:
        kept = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape)
        kept[:] = np.nan
    for start in range(0, len(photos), BATCH):
        rows = slice(start, start + BATCH)
        if np.isfinite(kept[rows]).all():
            continue
        images = F.interpolate(normalise(photos.pixels[rows]), size=(side, side), mode="bicubic", antialias=True)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            kept[rows] = model.forward_features(images)[:, 0].float().numpy()
        if start % (100 * BATCH) == 0:
            print(f"features of {split}: {start} of {len(photos)}", file=sys.stderr, flush=True)
    kept.flush()
    return np.array(kept)


class Reading(Task):
    """The engine's `Task` for features that were computed before.  Args: features: (n, d) of either split."""

    def __init__(self, train: Photos, validation: Photos, features: tuple[np.ndarray, np.ndarray], plan: Plan):
        self.train, self.validation, self.plan = train, validation, plan
        self.train_features, self.validation_features = map(torch.from_numpy, features)

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = shuffled(len(self.train), self.plan.batch_size, step, self.plan.seed)
        return self.train_features[rows], torch.from_numpy(self.train.targets)[rows]

    def loss(self, model: nn.Module, features: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(model(features), targets)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return {"val_top1": float(self.right(model).mean())}

    def figures(self, model: nn.Module) -> dict[str, float]:
        return by_source(self.right(model), self.validation.sources)

    def right(self, model: nn.Module) -> np.ndarray:
        """Whether the highest score is the right class's.  Returns: (n,) boolean."""
        return model(self.validation_features).argmax(dim=-1).numpy() == self.validation.targets

    def card(self) -> dict[str, Any]:
        return {"classes": self.train.classes, "backbone": BACKBONE}


def read_features(data: str | None, plan: Plan) -> Reading:
    """The photographs of a data folder that belong to a class, and DINOv2's tokens of them."""
    train, validation = (read_photos(data_folder(data), split, labelled=True) for split in ("train", "val"))
    return Reading(train, validation, (class_tokens(train, "train"), class_tokens(validation, "val")), plan)


RECIPE = Recipe(
    weights_id="probe_s14_dinov2",
    model=LinearProbe,
    config=ProbeConfig(),
    task=read_features,
    plan=Plan(steps=4000, batch_size=512, lr=2e-3, warmup=100, weight_decay=0.01, ema=0.99, precision="float32",
              evaluate_every=500, save_every=1000),
)
