"""What turns gradients into steps: AdamW, or Muon for the matrices of the blocks beside it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tfsss.train.layer_decay import layer_scales

if TYPE_CHECKING:
    from tfsss.train.engine import Plan

TABLES = ("token", "pos_embed", "relative_position_bias_table")
BLOCK = re.compile(r"(blocks|layers|stages|encoder|decoder)\.\d+\.")  # what our models call the parts that are stacked

Wanted = Callable[[str, nn.Parameter], bool]


def everything(name: str, value: nn.Parameter) -> bool:
    return True


def optimisers(model: nn.Module, plan: Plan) -> list[torch.optim.Optimizer]:
    """One of AdamW for everything; or one of Muon for what `in_blocks` names, and one of AdamW for the rest.

    Muon gives every matrix a step whose singular values are about equal, scaled to the size that AdamW's steps have, so
    that one learning rate does for both.

    Source:  Loshchilov & Hutter 2019 (AdamW), arXiv:1711.05101; Jordan et al. 2024 (Muon); the scale: Liu et al. 2025,
             arXiv:2502.16982, sec. 2.2. Both are torch's.
    """
    if plan.optimiser == "adamw":
        return [adamw(model, plan, everything)]
    muon = torch.optim.Muon(parameter_groups(model, plan, in_blocks), lr=plan.lr, adjust_lr_fn="match_rms_adamw")
    return [muon, adamw(model, plan, lambda name, value: not in_blocks(name, value))]


def in_blocks(name: str, value: nn.Parameter) -> bool:
    """Whether a parameter is a matrix inside the blocks: not an embedding, not a head."""
    return BLOCK.search(name) is not None and value.ndim == 2 and not name.endswith(TABLES)


def adamw(model: nn.Module, plan: Plan, wanted: Wanted) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameter_groups(model, plan, wanted), lr=plan.lr, betas=plan.betas, fused=True)


def parameter_groups(model: nn.Module, plan: Plan, wanted: Wanted = everything) -> list[dict[str, Any]]:
    """Decay for matrices and kernels; none for biases, norms, scales, tokens and position tables.

    Args:    wanted: which parameters an optimiser is for; frozen ones never are.
    Returns: at most two groups for each layer that has a learning rate of its own, `scale` times the plan's.
    """
    scales = layer_scales(model, plan.layer_decay)
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for name, value in model.named_parameters():
        if value.requires_grad and wanted(name, value):
            decayed = value.ndim > 1 and not name.endswith(TABLES)
            groups[scales[name], plan.weight_decay if decayed else 0.0].append(value)
    return [{"params": groups[scale, decay], "scale": scale, "weight_decay": decay}
            for scale, decay in sorted(groups, key=lambda both: (both[0], -both[1]))]
