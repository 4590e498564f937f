"""A small Swin on photographs. Most steps see half-size pictures: maps of 14, 7 and 4 a side, not of 28, 14 and 7.

At half size only the first stage has more than one window, and so a shift; the last stage's 4 x 4 are padded to the one
window of 7 x 7. The full size at the end brings the shift of the second stage and all offsets of the last.
"""

from __future__ import annotations

from tfsss.models.swin import VARIANTS, SwinTransformer
from tfsss.train.classify import small_first

RECIPE = small_first("swin_photos112", SwinTransformer, VARIANTS["small_112"])
