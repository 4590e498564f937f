"""Four answers to "what did it look at?", brought to one unit so that they can stand beside each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from tfsss.explain.arrays import read_only
from tfsss.explain.attention import Trace, on_grid
from tfsss.explain.relevance import Relevance, readout_row
from tfsss.explain.rollout import Rollout
from tfsss.models.vit import ViTConfig

METHODS = ("raw", "rollout", "gradient_rollout", "chefer")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Each method's map of the patches, in the order of METHODS."""

    shares: np.ndarray  # (4, gy, gx) float32, sums to 1 over the patches; all 0 where nothing lay on them
    on_patches: np.ndarray  # (4,) float32, which part lay on patches and not on prefix tokens, before dividing


def compare(traced: Trace, config: ViTConfig, rolled: Rollout, relevant: Relevance) -> Comparison:
    """The four maps for the token that the model's answer is read from, as shares of the patches.

    The methods have different units (a weight, a product of weights, a relevance), so each is divided by its own sum
    over the patches: shapes can be compared, amounts cannot.

    Args:    traced, rolled, relevant: of one picture through one model; config: that model's.
    """
    readout = readout_row(config, torch.empty(traced.weights.shape[-1])).numpy()
    last_layer = traced.weights[-1].mean(axis=0, dtype=np.float32)
    rows = np.stack([readout @ last_layer, readout @ rolled.matrix, relevant.gradient_rollout, relevant.chefer])
    patches = on_grid(traced, rows)
    sums = patches.sum(axis=(1, 2), keepdims=True)
    shares = np.divide(patches, sums, out=np.zeros_like(patches), where=sums > 0)
    return Comparison(shares=read_only(shares), on_patches=read_only(sums.ravel() / rows.sum(axis=1)))
