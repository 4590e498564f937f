"""A small Swin on photographs. Most steps see half-size pictures: maps of 14, 7 and 4 a side, not of 28, 14 and 7.

At half size only the first stage has more than one window, and so a shift; the last stage's 4 x 4 are padded to the one
window of 7 x 7. The full size comes early enough for the shift of the second stage and for the offsets of the last.
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
        smallest_crop=0.35, colour=0.3, label_smoothing=0.1, sizes=((0, 56), (1000, 112)))),
    plan=Plan(steps=1400, batch_size=64, lr=1e-3, warmup=200, weight_decay=0.05, ema=0.99, evaluate_every=200,
              save_every=50),
)
