"""A small ViT on photographs. Most steps see half-size pictures, whose 49 tokens cost a quarter of 196."""

from __future__ import annotations

from tfsss.models.vit import VisionTransformer, ViTConfig
from tfsss.train.classify import small_first

RECIPE = small_first("vit_photos112", VisionTransformer, ViTConfig(
    img_size=112, patch_size=8, num_classes=179, embed_dim=192, depth=6, num_heads=3))
