"""Positions that training never saw: a table on another grid, and sequences longer than the trained ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from einops import rearrange

from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.explain.position import (
    MAX_LENGTH, Bias, ByDistance, Encoding, Similarity, by_distance, head_bias, pairwise, similarity,
)
from tfsss.layers.position import resize_table

RELATIVE = ("rotary", "alibi", "relative")  # the scores know distances, not places


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A position table laid on a grid in one particular way."""

    encoding: Encoding  # vectors NaN where the table has ended
    agreement: np.ndarray  # (n,) float32, cosine with the right vector of the same patch; NaN where the table has ended
    believed: np.ndarray  # (n,) int32, the patch whose right vector is most alike: where the model takes each patch to
    # be, -1 where the table has ended
    colours: np.ndarray  # (gy, gx, 3) float32 in 0..1: the first three components of the old table, one scale for all


@dataclass(frozen=True, kw_only=True)
class Resized:
    """One position table brought to another grid, rightly and by three mistakes that no shape gives away."""

    old: Encoding
    old_colours: np.ndarray  # (old gy, old gx, 3) float32 in 0..1
    right: Placed  # bicubic, rows outer
    transposed: Placed  # bicubic, but the table was read columns outer: x and y have changed places
    swapped: Placed  # bicubic to (gx, gy) in place of (gy, gx): wrong as soon as the new grid is not square
    sliced: Placed  # not resized: `pos_embed[:, :n]`
    rows_wanted: int
    rows_sliced: int  # fewer than wanted when the table has ended: slicing itself never complains
    refusal: str | None  # what torch says when the slice is added to the tokens; None = added without a word


@dataclass(frozen=True, kw_only=True)
class Extrapolation:
    """What becomes of an encoding past the length that training knew."""

    trained: int
    defined: np.ndarray  # (length,) bool; False = there is nothing at this position
    pairs: Similarity  # of all positions, NaN where one of the two does not exist
    within: ByDistance  # of pairs inside the trained length
    beyond: ByDistance  # of all pairs that exist
    unseen: np.ndarray  # (length,) float32, NaN where nothing is defined. Vectors: share of the channels outside the
    # range they had within the trained length. Rotary and biases: share of the keys farther away than any was then


def resize(encoding: Encoding, new_grid: tuple[int, int], *, antialias: bool) -> Resized:
    """A table resized to another patch grid, and what the usual mistakes make of it.

    Args:    encoding: with a grid; new_grid: (gy, gx), square or not; antialias: as `layers.position.resize_table`.
    Raises:  InputError: a sequence has no grid to resize; the new grid has no patches or too many.
    """
    if encoding.grid is None:
        raise InputError("position.no_grid", length=len(encoding.vectors))
    wanted = new_grid[0] * new_grid[1]
    if min(new_grid) < 1 or wanted > MAX_LENGTH:
        raise InputError("position.length", length=wanted, limit=MAX_LENGTH)
    old = torch.tensor(encoding.vectors)[None]  # 1 n d
    gy, gx = encoding.grid
    columns_outer = rearrange(old, "one (gx gy) d -> one (gy gx) d", gy=gy, gx=gx)
    tables = {
        "right": resize_table(old, encoding.grid, new_grid, antialias=antialias),
        "transposed": resize_table(columns_outer, encoding.grid, new_grid, antialias=antialias),
        "swapped": resize_table(old, encoding.grid, new_grid[::-1], antialias=antialias),
    }
    vectors = {name: table[0].numpy() for name, table in tables.items()}
    sliced = encoding.vectors[:wanted]
    vectors["sliced"] = np.full((wanted, old.shape[-1]), np.nan, np.float32)
    vectors["sliced"][:len(sliced)] = sliced
    paint = _painter(encoding.vectors)
    unknown = read_only(np.full_like(encoding.wavelengths, np.nan))  # even a formula's waves are stretched now

    def place(rows: np.ndarray) -> Placed:
        return Placed(encoding=replace(encoding, vectors=read_only(rows), grid=new_grid, wavelengths=unknown),
                      agreement=_row_cosine(rows, vectors["right"]), believed=_nearest(rows, vectors["right"]),
                      colours=paint(rows, new_grid))

    return Resized(old=encoding, old_colours=paint(encoding.vectors, encoding.grid),
                   **{name: place(rows) for name, rows in vectors.items()},
                   rows_wanted=wanted, rows_sliced=len(sliced), refusal=_refusal(wanted, sliced))


def extrapolation(source: Encoding | Bias, *, trained: int, length: int, head: int = 0,
                  measure: Literal["cosine", "dot"] = "cosine") -> Extrapolation:
    """An encoding, or one head's bias, within and past a trained length.

    A formula is defined everywhere: make `source` with `length` positions. A learned table ends where its rows end, and
    past that there is nothing, which is the answer. Positions of a grid are counted row after row; when `trained` and
    `length` are whole rows of it, distances are measured on the grid, else along the sequence.

    Args:    trained: positions that training knew; length: positions to look at; head: of a bias; measure: of vectors.
    Raises:  InputError: trained is not between 1 and length, or length is too large.
    """
    if not 1 <= length <= MAX_LENGTH:
        raise InputError("position.length", length=length, limit=MAX_LENGTH)
    if not 1 <= trained <= length:
        raise InputError("position.trained", trained=trained, length=length)
    pairs = head_bias(source, head) if isinstance(source, Bias) else similarity(source, measure)
    known = min(len(pairs.matrix), length)
    matrix = np.full((length, length), np.nan, np.float32)
    matrix[:known, :known] = pairs.matrix[:known, :known]
    unseen = np.full(length, np.nan, np.float32)
    if source.kind in RELATIVE:
        exists = np.isfinite(matrix[:known])
        far = np.abs(np.arange(known)[:, None] - np.arange(length)) >= trained
        unseen[:known] = (exists & far).sum(axis=1) / exists.sum(axis=1)
    else:
        seen, rows = source.vectors[:trained], source.vectors[:known]
        unseen[:known] = ((rows < seen.min(axis=0)) | (rows > seen.max(axis=0))).mean(axis=1)
    columns = source.grid[1] if source.grid else 0
    whole_rows = columns and trained % columns == length % columns == 0
    grid_of = {count: (count // columns, columns) if whole_rows else None for count in (trained, length)}
    whole = pairwise(matrix, pairs.measure, grid_of[length])
    return Extrapolation(trained=trained, defined=read_only(np.arange(length) < known), pairs=whole,
                         within=by_distance(pairwise(matrix[:trained, :trained], pairs.measure, grid_of[trained])),
                         beyond=by_distance(whole), unseen=read_only(unseen))


def _row_cosine(rows: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(n,): cosine of each row with the right one."""
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(right, axis=1)
    return read_only(((rows * right).sum(axis=1) / np.where(lengths == 0, 1, lengths)).astype(np.float32))


def _nearest(rows: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(n,): for each row the number of the right row with the largest cosine."""
    lengths = np.linalg.norm(right, axis=1)
    nearest = (rows @ (right / np.where(lengths == 0, 1, lengths)[:, None]).T).argmax(axis=1)
    return read_only(np.where(np.isnan(rows[:, 0]), -1, nearest).astype(np.int32))


def _painter(table: np.ndarray) -> Callable[[np.ndarray, tuple[int, int]], np.ndarray]:
    """Rows to colours by the first three components of `table`, each stretched from its 1st to its 99th percentile."""
    centre = table.mean(axis=0)
    _, directions = np.linalg.eigh((table - centre).T @ (table - centre))  # d d, ascending
    directions = directions[:, :-4:-1]  # d three
    low, high = np.percentile((table - centre) @ directions, [1, 99], axis=0)

    def paint(rows: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
        colours = ((rows - centre) @ directions - low) / np.where(high > low, high - low, 1)
        return read_only(colours.clip(0, 1).reshape(*grid, 3).astype(np.float32))

    return paint


def _refusal(wanted: int, sliced: np.ndarray) -> str | None:
    """What torch says to `tokens + pos_embed[:, :n]`, tried."""
    try:
        torch.zeros(1, wanted, sliced.shape[1]) + torch.tensor(sliced)[None]
    except RuntimeError as error:
        return str(error)
    return None
