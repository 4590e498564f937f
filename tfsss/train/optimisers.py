"""What turns gradients into steps: AdamW, or Muon for the matrices of the blocks beside it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from tfsss.train.engine import Plan

TABLES = ("token", "pos_embed", "relative_position_bias_table")
BLOCK = re.compile(r"(blocks|layers|stages|encoder|decoder)\.\d+\.")  # what our models call the parts that are stacked


def optimisers(model: nn.Module, plan: Plan) -> list[torch.optim.Optimizer]:
    """One of AdamW for everything; or one of Muon for what `in_blocks` names, and one of AdamW for the rest.

    Muon gives every matrix a step whose singular values are about equal, scaled to the size that AdamW's steps have, so
    that one learning rate does for both.

    Source:  Loshchilov & Hutter 2019 (AdamW), arXiv:1711.05101; Jordan et al. 2024 (Muon); the scale: Liu et al. 2025,
             arXiv:2502.16982, sec. 2.2. Both are torch's.
    """
    if plan.optimiser == "adamw":
        return [adamw(model, plan)]
    matrices = [value for name, value in model.named_parameters() if in_blocks(name, value)]
    muon = torch.optim.Muon(matrices, lr=plan.lr, weight_decay=plan.weight_decay, adjust_lr_fn="match_rms_adamw")
    return [muon, adamw(model, plan, without={id(value) for value in matrices})]


def in_blocks(name: str, value: nn.Parameter) -> bool:
    """Whether a parameter is a matrix inside the blocks: not an embedding, not a head."""
    return BLOCK.search(name) is not None and value.ndim == 2 and value.requires_grad and not name.endswith(TABLES)


def adamw(model: nn.Module, plan: Plan, without: frozenset[int] | set[int] = frozenset()) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameter_groups(model, plan.weight_decay, without), lr=plan.lr, betas=plan.betas,
                             fused=True)


def parameter_groups(model: nn.Module, weight_decay: float,
                     without: frozenset[int] | set[int] = frozenset()) -> list[dict[str, Any]]:
    """Decay for matrices and kernels; none for biases, norms, scales, tokens and position tables.

    Args:    without: `id` of parameters that another optimiser has.
    """
    trained = [(name, value) for name, value in model.named_parameters()
               if value.requires_grad and id(value) not in without]
    decayed = [value for name, value in trained if value.ndim > 1 and not name.endswith(TABLES)]
    plain = [value for name, value in trained if value.ndim <= 1 or name.endswith(TABLES)]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
