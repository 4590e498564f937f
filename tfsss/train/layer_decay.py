"""Layer-wise decay of the learning rate: fine-tuning changes the lower layers, which know most, the least."""

from __future__ import annotations

import re

from torch import nn

EMBEDDING = re.compile(r"patch_embed\.|(cls|dist|reg)_token$|pos_embed$")
BLOCK = re.compile(r"blocks\.(\d+)\.")


def layer_number(name: str, depth: int) -> int:
    """0 for what makes the tokens, 1 to depth for the blocks, depth + 1 for the last norm and the head.

    Args:    name: of a parameter of a ViT; depth: its number of blocks.
    """
    if EMBEDDING.match(name):
        return 0
    block = BLOCK.match(name)
    return int(block[1]) + 1 if block else depth + 1


def layer_scales(model: nn.Module, decay: float) -> dict[str, float]:
    """The factor of each parameter's learning rate: decay ** (layers above it).

    Args:    model: a ViT; with a decay of 1 any model.
             decay: 0.75 halves the rate about every two and a half layers; the head's stays.
    Returns: by the parameter's name.
    Source:  Clark et al. 2020 (ELECTRA), arXiv:2003.10555, appendix B; layers numbered as BEiT and MAE do.
    """
    names = [name for name, _ in model.named_parameters()]
    if decay == 1:
        return dict.fromkeys(names, 1.0)
    if not any(map(BLOCK.match, names)):
        raise ValueError(f"{type(model).__name__} has no `blocks`, by which layers are numbered")
    last = len(model.blocks) + 1
    return {name: decay ** (last - layer_number(name, len(model.blocks))) for name in names}
