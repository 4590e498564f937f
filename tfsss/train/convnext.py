"""A small ConvNeXt on photographs. Most steps see half-size pictures, which cost a quarter."""

from __future__ import annotations

from tfsss.models.convnext import VARIANTS, ConvNeXt
from tfsss.train.classify import small_first

RECIPE = small_first("convnext_photos112", ConvNeXt, VARIANTS["small_112"])
