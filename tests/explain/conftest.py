"""A ViT small enough to be checked by loops, with weights large enough that its attention is not flat."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tfsss.models.vit import VARIANTS, VisionTransformer


@pytest.fixture
def mini():
    """mini(**changes): the "mini" ViT, seeded, frozen, in eval()."""
    def build(**changes) -> VisionTransformer:
        torch.manual_seed(7)
        model = VisionTransformer(replace(VARIANTS["mini"], **changes))
        for parameter in model.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.25)
        return model.eval().requires_grad_(False)
    return build


@pytest.fixture
def picture():
    """picture(height, width): a seeded batch of one."""
    def draw(height: int = 32, width: int = 32) -> torch.Tensor:
        return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(3))
    return draw
