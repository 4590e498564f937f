"""A small ViT on photographs. Most steps see half-size pictures, whose 49 tokens cost a quarter of 196."""

from __future__ import annotations

from functools import partial

from tfsss.models.vit import VisionTransformer, ViTConfig
from tfsss.train.classify import Augmentation, photo_classes
from tfsss.train.engine import Plan
from tfsss.train.recipe import Recipe

RECIPE = Recipe(
    weights_id="vit_photos112",
    model=VisionTransformer,
    config=ViTConfig(img_size=112, patch_size=8, num_classes=179, embed_dim=192, depth=6, num_heads=3),
    task=partial(photo_classes, augmentation=Augmentation(
        smallest_crop=0.25, colour=0.3, label_smoothing=0.1, sizes=((0, 56), (5000, 112)))),
    plan=Plan(steps=6000, batch_size=64, lr=2e-3, warmup=200, hold=3000, optimiser="muon", ema=0.998),
)
