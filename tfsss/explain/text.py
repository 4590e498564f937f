"""A BERT at work on texts that a person typed: word pieces, masks, and the attention of every layer and head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from tfsss.data import wordpieces
from tfsss.data.wordpieces import MARKS, PADDING, UNKNOWN, Pieces
from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.explain.masks import ORDINARY, Groups, Mask, combine, spread
from tfsss.explain.strings import STEPS, OneHead, check_numbers, head_of
from tfsss.layers.masks import real_tokens
from tfsss.probe import capture

if TYPE_CHECKING:
    from tfsss.weights import Loaded

MOST_PIECES = 48  # rows of a map that can still be read
MOST_TEXTS = 6


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One forward of a batch of texts, every attention kept."""

    pieces: tuple[tuple[str, ...], ...]  # b x n, [PAD] too
    ids: np.ndarray  # (b, n) int64
    segments: np.ndarray  # (b, n) int64
    tokens: np.ndarray  # (b, n) boolean, True = token, False = padding
    mask: Mask
    attention: Mapping[str, np.ndarray]  # q k v (l, b, h, n, e); scores and weights (l, b, h, n, n)
    vectors: np.ndarray  # (l+1, b, n, d) float32: as they enter the first block, then after each block

    @property
    def weights(self) -> np.ndarray:
        """(l, b, h, n, n)."""
        return self.attention["weights"]

    def arrays(self) -> dict[str, np.ndarray]:
        """What a file of arrays holds of it."""
        return {"pieces": np.array(self.pieces), "ids": self.ids, "segments": self.segments, "tokens": self.tokens,
                "allowed": self.mask.allowed, "scores": self.attention["scores"], "weights": self.weights,
                "vectors": self.vectors}


@dataclass(frozen=True, kw_only=True)
class Habits:
    """Where each head's attention goes: shares, each averaged over the queries; (l, h), whatever the words are."""

    received: np.ndarray  # (l, h, n): to each piece
    first: np.ndarray  # to [CLS]
    separator: np.ndarray  # to [SEP]
    itself: np.ndarray  # to the query's own place
    before: np.ndarray  # to the place before; the first query has none
    behind: np.ndarray  # to the place behind; the last query has none


def read(loaded: Loaded, rows: Sequence[Pieces], *, groups: Groups = ORDINARY["encoder"], extra: int = 0) -> Reading:
    """Run the model once on texts of different lengths.

    Args:    loaded: weights of the family "bert"; rows: from `wordpieces.pieces`; groups: as `masks.combine`.
             extra: columns of padding behind the longest text too.
    Raises:  InputError: too many texts, or one with too many pieces to be drawn.
    """
    if not 1 <= len(rows) <= MOST_TEXTS:
        raise InputError("text.texts", count=len(rows), limit=MOST_TEXTS)
    for number, row in enumerate(rows, 1):
        if len(row.ids) > MOST_PIECES:
            raise InputError("text.too_long", number=number, pieces=len(row.ids), limit=MOST_PIECES)
    ids, segments = wordpieces.pad(rows, extra)
    tokens = real_tokens(ids, PADDING)
    allowed = combine(tokens, tokens, groups)
    with capture(loaded.model, "embedded", "blocks.*.output", "blocks.*.attn.*") as seen:
        loaded.model.forward_features(ids, segments, allowed)
    layers = range(loaded.entry.config.depth)
    attention = {step: read_only(torch.stack([seen[f"blocks.{layer}.attn.{step}"] for layer in layers]))
                 for step in STEPS}
    vectors = torch.stack([seen["embedded"], *(seen[f"blocks.{layer}.output"] for layer in layers)])
    count, length = ids.shape
    return Reading(pieces=tuple(map(wordpieces.symbols, ids.tolist())), ids=read_only(ids),
                   segments=read_only(segments), tokens=read_only(tokens), attention=attention,
                   mask=spread(allowed, "encoder", groups, (count, length, length)), vectors=read_only(vectors))


def one_head(done: Reading, layer: int, head: int, row: int = 0) -> OneHead:
    """One head's steps on one of the texts.

    Args:    layer, head, row: numbers from 0.
    Raises:  InputError: no such layer, head or row.
    """
    check_numbers(done.weights.shape[:3], layer, head, row)
    names = done.pieces[row]
    return head_of(done.attention, layer, head, row, site="encoder", queries=names, keys=names,
                   allowed=done.mask.allowed[row])


def habits(done: Reading, row: int = 0) -> Habits:
    """What the heads do with a text's places.

    Source:  Clark et al. 2019, arXiv:1906.04341, sec. 3, who found heads that do little else.
    """
    count = int(done.tokens[row].sum())
    weights, ids = done.weights[:, row, :, :count, :count], done.ids[row, :count]

    def mean(offset: int) -> np.ndarray:
        return np.diagonal(weights, offset, axis1=-2, axis2=-1).mean(axis=-1)

    received = weights.mean(axis=-2)  # l h n
    return Habits(received=received, first=received[..., 0], itself=mean(0), before=mean(-1), behind=mean(1),
                  separator=received[..., ids == wordpieces.SEPARATOR].sum(axis=-1))


def words_among(names: Sequence[str], ids: np.ndarray) -> np.ndarray:
    """Which pieces say something: no [UNK], no mark, no punctuation, where there is such a piece; else all but marks.

    Args:    names: n pieces; ids: (n,).
    Returns: (n,) boolean.
    """
    letters = np.array([any(map(str.isalnum, name)) for name in names])
    found = letters & ~np.isin(ids, (*MARKS, UNKNOWN))
    return found if found.any() else ~np.isin(ids, MARKS)


def striking(done: Reading, layer: int, head: int, row: int = 0) -> int:
    """The query, a word, that looks hardest at one other piece: what is shown before anybody points at something."""
    weights = done.weights[layer, row, head].copy()
    weights[:, np.isin(done.ids[row], MARKS)] = 0
    np.fill_diagonal(weights, 0)
    return int(np.where(words_among(done.pieces[row], done.ids[row]), weights.max(axis=-1), -1).argmax())
