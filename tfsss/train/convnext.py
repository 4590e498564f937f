"""A small ConvNeXt on photographs, taught by the soft labels of a linear probe on DINOv2."""

from __future__ import annotations

from functools import partial

from tfsss.models.convnext import VARIANTS, ConvNeXt
from tfsss.train.classify import Augmentation, photo_classes
from tfsss.train.engine import Plan
from tfsss.train.recipe import Recipe

RECIPE = Recipe(
    weights_id="convnext_photos112",
    model=ConvNeXt,
    config=VARIANTS["small_112"],
    task=partial(photo_classes, augmentation=Augmentation(sizes=((0, 56), (2400, 112))), taught=True),
    plan=Plan(steps=2800, batch_size=64, lr=2e-3, warmup=200, ema=0.995, optimiser="muon", save_every=50),
)
