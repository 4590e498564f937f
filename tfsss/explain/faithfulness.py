"""Is a map right? Take patches away in its order, or bring them back, and watch the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange, repeat
from torch import Tensor
from torch.nn import functional as F

from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.explain.attention import check_single
from tfsss.explain.inputs import Fill, filled
from tfsss.explain.relevance import Target, check_class
from tfsss.layers.patch import check_divisible
from tfsss.models.vit import VisionTransformer


@dataclass(frozen=True, kw_only=True)
class Curves:
    """The score while patches go or come, one curve per order."""

    deletion: np.ndarray  # (o, steps + 1) float32, from the picture to the fill: the lower, the better the order
    insertion: np.ndarray  # (o, steps + 1) float32, from the fill to the picture: the higher, the better
    deletion_area: np.ndarray  # (o,) float32, under the curve over the part of patches moved, 0..1
    insertion_area: np.ndarray  # (o,) float32


@dataclass(frozen=True, kw_only=True)
class Faithfulness:
    """Deletion and insertion of each method, beside chance."""

    methods: tuple[str, ...]  # names of the rows of `curves`
    curves: Curves
    chance: Curves  # one row per random order
    parts: np.ndarray  # (steps + 1,) float32, which part of the patches is deleted or inserted
    fill: Fill
    target: Target  # "class": its probability; "cosine": between the output and that of the whole picture
    class_index: int | None
    pictures: int  # how many were put through the model


def faithfulness(model: VisionTransformer, images: Tensor, maps: Mapping[str, np.ndarray], *, fill: Fill = "mean",
                 steps: int = 10, random_orders: int = 5, generator: np.random.Generator,
                 class_index: int | None = None, batch: int = 4, progress: Callable[[int, int], None] | None = None,
                 should_stop: Callable[[], bool] | None = None) -> Faithfulness | None:
    """Deletion and insertion curves of each map and of random orders.

    Patches are taken in the order of a map, the largest value first, equal ones row by row. A random order is used
    forwards for deletion and backwards for insertion, which are then the same pictures: one curve read both ways.
    Pictures that several curves need go through the model once.

    Args:    model: in `eval()`; images: (1, c, H, W), normalised.
             maps: method -> (gy, gx) or (gy*gx,) values of the patches, prefix tokens left out.
             fill: what a deleted patch shows, as `inputs.filled`.
             generator: makes the random orders, `numpy.random.default_rng(seed)`.
             class_index: whose probability is followed; None = the class that the model finds in the whole picture,
             or, where there are no classes, the cosine between the output now and for the whole picture.
             batch: pictures per forward; progress: called after each with (pictures done, pictures in all).
             should_stop: asked before each; True ends the work.
    Returns: the curves, or None when it was stopped.
    Raises:  InputError: no such class, steps that the patches cannot be divided into, or a size that they do not tile.
    Source:  Petsiuk et al. 2018 (RISE), arXiv:1806.07421. Differs: by patch instead of by pixel, in `steps`
             steps; RISE deletes to a constant and inserts into a blur, here one fill serves both, so that they compare.
    """
    check_single(images)
    check_divisible(images, model.config.patch_size)
    check_class(model.config, class_index)
    grid = model.grid_of(images)
    count = grid[0] * grid[1]
    if not 1 <= steps <= count:
        raise InputError("explain.steps", steps=steps, limit=count)
    orders = [np.argsort(-np.reshape(values, count), kind="stable") for values in maps.values()]
    chance = [generator.permutation(count) for _ in range(random_orders)]
    taken = np.round(np.linspace(0, count, steps + 1)).astype(int)
    deletions, insertions = orders + chance, orders + [order[::-1] for order in chance]
    hidden = np.stack([_hidden(order, k) for order in deletions for k in taken]
                      + [~_hidden(order, k) for order in insertions for k in taken])  # (two o s) n
    distinct, which = np.unique(hidden, axis=0, return_inverse=True)  # sorted: nothing hidden comes first
    outputs = _run(model, images, torch.from_numpy(distinct), fill, batch, progress, should_stop)
    if outputs is None:
        return None
    scores, class_index = _score(outputs, model.config.num_classes, class_index)
    scores = rearrange(scores.numpy()[which.ravel()], "(two o s) -> two o s", two=2, s=steps + 1)
    methods, random = np.split(scores, [len(orders)], axis=1)
    parts = taken / count
    return Faithfulness(methods=tuple(maps), curves=_curves(*methods, parts), chance=_curves(*random, parts),
                        parts=read_only(parts.astype(np.float32)), fill=fill,
                        target="class" if model.config.num_classes else "cosine", class_index=class_index,
                        pictures=len(distinct))


def _hidden(order: np.ndarray, taken: int) -> np.ndarray:
    """(n,) boolean, True for the first `taken` patches of the order."""
    hidden = np.zeros(len(order), bool)
    hidden[order[:taken]] = True
    return hidden


def _run(model: VisionTransformer, images: Tensor, hidden: Tensor, fill: Fill, batch: int,
         progress: Callable[[int, int], None] | None, should_stop: Callable[[], bool] | None) -> Tensor | None:
    """The model's output for the picture with each set of patches hidden: (s, n) boolean to (s, k), or None."""
    (gy, gx), side = model.grid_of(images), model.config.patch_size
    replacement = filled(images, fill, side)
    outputs = []
    for rows in hidden.split(batch):
        if should_stop is not None and should_stop():
            return None
        pixels = repeat(rows, "b (gy gx) -> b 1 (gy p) (gx q)", gy=gy, gx=gx, p=side, q=side)
        with torch.no_grad():
            outputs.append(model(torch.where(pixels, replacement, images)))
        if progress is not None:
            progress(sum(map(len, outputs)), len(hidden))
    return torch.cat(outputs)


def _score(outputs: Tensor, num_classes: int, class_index: int | None) -> tuple[Tensor, int | None]:
    """How much of the whole picture's answer, the first of `outputs` (s, k), is left in each: (s,), and the class."""
    if not num_classes:
        return F.cosine_similarity(outputs, outputs[:1]), None
    class_index = int(outputs[0].argmax()) if class_index is None else class_index
    return outputs.softmax(dim=-1)[:, class_index], class_index


def _curves(deletion: np.ndarray, insertion: np.ndarray, parts: np.ndarray) -> Curves:
    """Both sets of curves with the areas under them, by the trapezoidal rule."""
    areas = [np.trapezoid(scores, parts, axis=1).astype(np.float32) for scores in (deletion, insertion)]
    return Curves(deletion=read_only(deletion), insertion=read_only(insertion),
                  deletion_area=read_only(areas[0]), insertion_area=read_only(areas[1]))
