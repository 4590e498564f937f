"""Gradient methods: which attention would change the answer, traced back to the patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.explain.attention import check_single
from tfsss.explain.inputs import filled
from tfsss.models.vit import ViTConfig, VisionTransformer
from tfsss.probe import capture

BLEND = 0.5  # how far towards its blurred self a picture is taken when the target is the cosine

Target = Literal["class", "cosine"]


@dataclass(frozen=True, kw_only=True)
class Relevance:
    """What two gradient methods say each token did for one target; only their ratios mean something."""

    chefer: np.ndarray  # (n,) float32, >= 0
    gradient_rollout: np.ndarray  # (n,) float32, >= 0, sums to 1
    target: Target
    class_index: int | None  # None for the cosine
    score: float  # the target's value where its gradient was taken: a logit, or a cosine


def relevance(model: VisionTransformer, images: Tensor, *, class_index: int | None = None) -> Relevance:
    """Chefer's relevance and gradient rollout, from one forward and one backward.

    Both take, per layer, the mean over the heads of (gradient * attention), negative parts set to 0: G. Chefer's
    relevance starts at R = I and adds G R layer by layer; gradient rollout multiplies I + G, rows brought to sum 1.
    What is returned is the row of the token that the model's answer is read from. Where G is small beside I, as for
    the cosine, both come close to I plus the sum of all layers' G, and look alike.

    The target is a class's logit. A model without classes is asked for the cosine between its output (the class
    token's final feature) and the same of the original picture; at the original itself that cosine is 1, its largest
    value, and its gradient exactly 0, so attention and gradient are taken half way to the blurred picture, where the
    gradient says which attention would bring the original's feature back.

    Args:    model: in `eval()`, not changed; images: (1, c, H, W), normalised.
             class_index: None = the class with the largest logit, or the cosine where there are no classes.
    Raises:  InputError: the model has no such class.
    Source:  Chefer, Gur & Wolf 2021b, arXiv:2103.15679 ("Generic Attention-model Explainability"), eqs. 5 and 6. Not
             their 2021a, arXiv:2012.09838, which takes relevances of layer-wise propagation instead of attention.
             Gradient rollout: vit-explain (Gildenblat 2020). Differs: the positive part is taken before the mean over
             heads, as in Chefer's eq. 5, not after it, and rows are divided by their own sums.
    """
    check_single(images)
    config = model.config
    check_class(config, class_index)
    start = images.detach()
    if not config.num_classes:
        with torch.no_grad():
            original = model(start)
        start = torch.lerp(start, filled(start, "blur", config.patch_size), BLEND)
    with capture(model, "blocks.*.attn.weights", grad=True) as seen:
        output = model(start.requires_grad_())  # frozen parameters leave no graph, so the picture has to start it
        if config.num_classes:
            class_index = int(output.argmax()) if class_index is None else class_index
            score = output[0, class_index]
        else:
            score = F.cosine_similarity(output, original)[0]
        weights = list(seen.values())
        gradients = torch.autograd.grad(score, weights)
    layers = [head_mean(w.detach()[0], g[0]) for w, g in zip(weights, gradients, strict=True)]
    readout = readout_row(config, layers[0])
    return Relevance(chefer=read_only(chefer_row(layers, readout)),
                     gradient_rollout=read_only(gradient_rollout_row(layers, readout)),
                     target="class" if config.num_classes else "cosine", class_index=class_index, score=score.item())


def head_mean(weights: Tensor, gradients: Tensor) -> Tensor:
    """G of one layer: (h, n, n) twice to (n, n), the mean over heads of the positive part of gradient * attention."""
    return (gradients * weights).clamp(min=0).mean(dim=0)


def chefer_row(layers: list[Tensor], readout: Tensor) -> Tensor:
    """readout @ R of R = (I + G_L) ... (I + G_1), row by matrix from the last layer down.  Returns: (n,)."""
    row = readout
    for layer in reversed(layers):
        row = row + row @ layer
    return row


def gradient_rollout_row(layers: list[Tensor], readout: Tensor) -> Tensor:
    """The same product with the rows of every I + G divided by their sums.  Returns: (n,), sums to 1."""
    row = readout
    for layer in reversed(layers):
        shares = row / (1 + layer.sum(dim=1))
        row = shares + shares @ layer
    return row


def readout_row(config: ViTConfig, like: Tensor) -> Tensor:
    """How much of each token the heads read: class token, class and distillation token, or all patches.

    Returns: (n,), sums to 1.
    """
    row = like.new_zeros(like.shape[-1])
    if config.pool == "mean":
        row[config.num_prefix:] = 1
    else:
        row[:1 + config.distillation_token] = 1
    return row / row.sum()


def check_class(config: ViTConfig, class_index: int | None) -> None:
    """Raises InputError when the model has no class of this number; None always passes."""
    if class_index is None:
        return
    if not config.num_classes:
        raise InputError("explain.no_classes", index=class_index)
    if not 0 <= class_index < config.num_classes:
        raise InputError("explain.no_class", index=class_index, last=config.num_classes - 1)
