"""A small Swin on photographs. Most steps see half-size pictures: maps of 14, 7 and 4 a side, not of 28, 14 and 7.

At half size only the first stage has more than one window, and so a shift; the last stage's 4 x 4 are padded to the one
window of 7 x 7. The full size at the end brings the shift of the second stage and all offsets of the last.
"""

from __future__ import annotations

from functools import partial

from tfsss.models.swin import VARIANTS, SwinTransformer
from tfsss.train.classify import Augmentation, photo_classes
from tfsss.train.engine import Plan
from tfsss.train.recipe import Recipe

RECIPE = Recipe(
    weights_id="swin_photos112",
    model=SwinTransformer,
    config=VARIANTS["small_112"],
    task=partial(photo_classes, augmentation=Augmentation(
        smallest_crop=0.25, colour=0.3, label_smoothing=0.1, sizes=((0, 56), (5000, 112)))),
    plan=Plan(steps=6000, batch_size=64, lr=2e-3, warmup=200, hold=3000, optimiser="muon", ema=0.998),
)
