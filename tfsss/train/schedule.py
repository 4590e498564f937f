"""What changes from step to step: the learning rate, and the weight of the running average."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfsss.train.engine import Plan


def learning_rate(plan: Plan, step: int) -> float:
    """Linear warm-up, a while at the top, then half a cosine.

    Source:  Loshchilov and Hutter 2017 (SGDR), arXiv:1608.03983, eq. 5 without restarts; warm-up Goyal et al. 2017.
    """
    if step < plan.warmup:
        return plan.lr * (step + 1) / plan.warmup
    falls = plan.warmup + plan.hold
    return plan.lr / 2 * (1 + math.cos(math.pi * max(0, step - falls) / max(1, plan.steps - falls)))


def ema_weight(plan: Plan, step: int) -> float:
    """Share of the old average kept at a step: small at first, so that the random start is soon forgotten."""
    return min(plan.ema, (step + 1) / (step + 10))
