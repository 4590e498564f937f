"""What the patches' features look like: tokens of unusual length, and the directions in which patches differ most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.explain.attention import Trace, on_grid

DEVIATIONS = 5.0  # how many robust standard deviations above the median make an outlier,
LONGER = 1.25  # and how many medians at least: where tokens are nearly equal, the deviation alone would find some
MAD_TO_DEVIATION = 1.4826  # median absolute deviation to standard deviation, for a normal distribution
COMPONENTS = 3
CLIP = (2, 98)  # percentiles that become the ends of a colour


@dataclass(frozen=True, kw_only=True)
class Outliers:
    """Patch tokens that are much longer than the others of their layer."""

    norms: np.ndarray  # (gy, gx) float32
    is_outlier: np.ndarray  # (gy, gx) boolean
    threshold: float  # longer than this = outlier
    median: float
    layer: int


@dataclass(frozen=True, kw_only=True)
class Components:
    """The first principal components of the patches' final features."""

    scores: np.ndarray  # (gy, gx, 3) float32, 0 = the mean patch
    colours: np.ndarray  # (gy, gx, 3) float32, 0..1, one component per channel
    explained: np.ndarray  # (3,) float32, part of the variance; components that do not exist are 0 everywhere


def outliers(traced: Trace, layer: int = -1) -> Outliers:
    """Which patch tokens leave a block with an unusual norm.

    The rule: longer than the median by more than 5 robust standard deviations (1.4826 times the median absolute
    deviation from the median) of the same picture's patch tokens, and at least a quarter longer than it.

    Args:    layer: whose output, from 0; -1 = the last.
    Raises:  InputError: no such layer.
    Source:  Darcet et al. 2024, arXiv:2309.16588, sec. 2. Differs: there one cut for all pictures, read off a
             histogram (150 for DINOv2 ViT-g); a rule from the picture itself fits models of any scale. They find
             outliers several times longer than the rest, and only in ViT-L and larger: expect few in a small model.
    """
    depth = len(traced.norms)
    if not -1 <= layer < depth:
        raise InputError("explain.no_layer", layer=layer, last=depth - 1)
    norms = on_grid(traced, traced.norms[layer])
    median = np.median(norms)
    deviation = MAD_TO_DEVIATION * np.median(np.abs(norms - median))
    threshold = max(median + DEVIATIONS * deviation, LONGER * median)
    return Outliers(norms=read_only(norms), is_outlier=read_only(norms > threshold), threshold=float(threshold),
                    median=float(median), layer=layer % depth)


def components(traced: Trace) -> Components:
    """Principal components of the final patch features of this picture alone, the strongest first.

    A component's sign is arbitrary: it is chosen so that its largest entry over the channels is positive, which keeps
    a colour's meaning alike from picture to picture. Colours run from the 2nd to the 98th percentile.

    Source: Oquab et al. 2023, arXiv:2304.07193, fig. 1 (there over several pictures, the background removed).
    """
    features = traced.features[traced.num_prefix:].astype(np.float64)
    centred = torch.from_numpy(features - features.mean(axis=0))
    left, sizes, directions = (part.numpy() for part in torch.linalg.svd(centred, full_matrices=False))  # n r, r, r d
    exist = int((sizes > 1e-6 * np.abs(features).max()).sum())  # the rest is rounding
    kept = min(COMPONENTS, exist)
    largest = np.abs(directions[:kept]).argmax(axis=1)
    signs = np.sign(directions[np.arange(kept), largest])
    scores = np.zeros((len(features), COMPONENTS))
    scores[:, :kept] = left[:, :kept] * sizes[:kept] * signs
    explained = np.zeros(COMPONENTS)
    explained[:kept] = sizes[:kept] ** 2 / max((sizes**2).sum(), np.finfo(float).tiny)
    low, high = np.percentile(scores, CLIP, axis=0)
    spread = np.where(high > low, high - low, 1)
    colours = np.where(high > low, (scores - low) / spread, 0.5).clip(0, 1)
    shape = (*traced.grid, COMPONENTS)
    return Components(scores=read_only(scores.reshape(shape).astype(np.float32)),
                      colours=read_only(colours.reshape(shape).astype(np.float32)),
                      explained=read_only(explained.astype(np.float32)))
