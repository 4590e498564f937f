"""Small random checkpoints of many shapes, as timm and the authors name them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from tfsss.models.mae import MAEConfig, MaskedAutoencoder
from tfsss.models.swin import SwinConfig, SwinTransformer
from tfsss.models.vit import ViTConfig, VisionTransformer

VITS = {  # a class head, four layers, one head; forty layers, sixteen heads; registers, patches of 14, no classes;
    "plain": ViTConfig(img_size=64, patch_size=16, num_classes=5, embed_dim=64, depth=4, num_heads=1),
    "deep": ViTConfig(img_size=56, patch_size=8, num_classes=0, embed_dim=64, depth=40, num_heads=16, mlp_ratio=1.0),
    "registers": ViTConfig(img_size=98, patch_size=14, num_classes=0, embed_dim=128, depth=12, num_heads=2,
                           num_registers=4, prefix_has_position=False),
    # a distillation token, a grid finer than a picture is shown with; no class token, patches of 5; two patches a side
    "distilled": ViTConfig(img_size=352, patch_size=8, num_classes=7, embed_dim=64, depth=5, num_heads=1,
                           distillation_token=True),
    "no_class": ViTConfig(img_size=100, patch_size=5, num_classes=3, embed_dim=128, depth=6, num_heads=2,
                          class_token=False, pool="mean"),
    "coarse": ViTConfig(img_size=96, patch_size=48, num_classes=2, embed_dim=64, depth=4, num_heads=1),
}
MAES = {
    "mae_pixels": MAEConfig(img_size=96, patch_size=16, embed_dim=64, depth=4, num_heads=1, decoder_embed_dim=32,
                            decoder_depth=1, decoder_num_heads=1),
    "mae_fine": MAEConfig(img_size=120, patch_size=5, embed_dim=64, depth=5, num_heads=1, decoder_embed_dim=32,
                          decoder_depth=2, decoder_num_heads=1),
}
SWINS = {
    "swin_usual": SwinConfig(num_classes=3, embed_dim=24, depths=(2, 2, 6, 2), num_heads=(1, 2, 4, 8)),
    "swin_wide": SwinConfig(num_classes=3, embed_dim=16, depths=(2, 2), num_heads=(2, 4), window_size=12),
    "swin_short": SwinConfig(num_classes=0, embed_dim=12, depths=(1, 1), num_heads=(2, 3), window_size=4, patch_size=2),
}
MODELS = {VisionTransformer: VITS, MaskedAutoencoder: MAES, SwinTransformer: SWINS}
HEADS = {"deep": 16}  # where the habit, 64 numbers a head, would be wrong


def write(folder: Path) -> None:
    """All of them, each as one safetensors file."""
    for kind, configs in MODELS.items():
        for number, (name, config) in enumerate(configs.items()):
            save_file(randomised(kind(config), number).state_dict(), folder / f"{name}.safetensors")


def randomised(model: nn.Module, seed: int) -> nn.Module:
    """Weights that make attention uneven; fixed position tables stay."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.2 + (parameter.ndim == 1) * 0.5
    return model


def source(name: str) -> str:
    """As it stands in a link."""
    return f"path:{name}.safetensors" + (f",heads={HEADS[name]}" if name in HEADS else "")
