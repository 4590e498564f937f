"""What padding, a second text, and averaging do to the vectors that a BERT makes of a text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tfsss.data.wordpieces import MARKS, Pieces
from tfsss.explain.text import Reading, read

if TYPE_CHECKING:
    from tfsss.weights import Loaded

UNMASKED = ()  # no rule: everyone may look at everyone


@dataclass(frozen=True, kw_only=True)
class Padding:
    """The shorter of two texts: by itself, in a batch with its padding masked, and in one with nothing masked."""

    alone: Reading  # one row of n pieces
    masked: Reading  # both texts
    unmasked: Reading
    row: int  # which of the two is the shorter
    count: int  # n, its pieces
    added: int  # its padding
    moved_masked: np.ndarray  # (n,) float32, largest difference of each piece's final vector from `alone`
    moved_unmasked: np.ndarray  # (n,)
    cosine_unmasked: np.ndarray  # (n,) of each piece's final vector with that of `alone`
    lost: np.ndarray  # (l,) share of attention that its pieces give to padding where nothing is masked
    sentence_masked: float  # cosine of the sentence's vector with that of `alone`
    sentence_unmasked: float
    sentence_counted: float  # masked, but the mean is taken over the padding's vectors too


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two texts as all-MiniLM compares them."""

    reading: Reading  # both texts, padding masked
    sentences: np.ndarray  # (2, d) float32, of length 1
    by_layer: np.ndarray  # (l+1,) cosine of the two before the first block and after each; the last is the answer
    first: np.ndarray  # (l+1,) of the two [CLS] vectors instead
    between: np.ndarray  # (l+1, m, n) of every piece of the first text, down, with every one of the second, across


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two texts in one sequence."""

    reading: Reading  # one row
    parts: np.ndarray  # (n,) int: 0 = first text, 1 = second text, 2 = [CLS] and [SEP]
    shares: np.ndarray  # (l, h, 2, 3) float32: from the pieces of each text to those of each part; rows sum to 1
    moved: np.ndarray  # (n,) largest difference of each piece's final vector if all were of segment 0


def sentence_vectors(vectors: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """The mean over the counted places, brought to length 1.

    Args:    vectors: (..., n, d); counted: (..., n) boolean: the tokens without padding, [CLS] and [SEP] with them.
    Returns: (..., d).
    Source:  Reimers and Gurevych 2019, arXiv:1908.10084, sec. 3 (MEAN); the length as all-MiniLM's own settings.
    """
    weights = counted[..., None].astype(np.float32)
    mean = (vectors * weights).sum(axis=-2) / weights.sum(axis=-2)
    return mean / np.linalg.norm(mean, axis=-1, keepdims=True)


def padding(loaded: Loaded, first: Pieces, second: Pieces, extra: int = 0) -> Padding:
    """Args:    extra: columns of padding behind the longer text too.

    Raises:  InputError: as `text.read`.
    """
    row = int(len(second.ids) < len(first.ids))
    shorter = (first, second)[row]
    count = len(shorter.ids)
    alone = read(loaded, (shorter,))
    masked, unmasked = (read(loaded, (first, second), extra=extra, **options)
                        for options in ({}, {"groups": UNMASKED}))
    own = alone.vectors[-1, 0]  # n d
    in_batch = masked.vectors[-1, row], unmasked.vectors[-1, row]
    sentence = sentence_vectors(own, np.ones(count, bool))
    kept, everything = masked.tokens[row], np.ones(masked.tokens.shape[1], bool)
    moved = [np.abs(vectors[:count] - own).max(axis=-1) for vectors in in_batch]
    lost = unmasked.weights[:, row, :, :count][..., ~kept].sum(axis=-1).mean(axis=(1, 2))
    return Padding(
        alone=alone, masked=masked, unmasked=unmasked, row=row, count=count, added=int((~kept).sum()),
        moved_masked=moved[0], moved_unmasked=moved[1], cosine_unmasked=_cosines(in_batch[1][:count], own), lost=lost,
        sentence_masked=float(sentence_vectors(in_batch[0], kept) @ sentence),
        sentence_unmasked=float(sentence_vectors(in_batch[1], kept) @ sentence),
        sentence_counted=float(sentence_vectors(in_batch[0], everything) @ sentence))


def compare(loaded: Loaded, first: Pieces, second: Pieces) -> Comparison:
    """Raises:  InputError: as `text.read`."""
    reading = read(loaded, (first, second))
    by_layer = sentence_vectors(reading.vectors, reading.tokens)  # l+1 2 d
    left, right = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True) for vectors in (
        reading.vectors[:, 0, :len(first.ids)], reading.vectors[:, 1, :len(second.ids)]))
    between = left @ right.swapaxes(-2, -1)
    return Comparison(reading=reading, sentences=by_layer[-1], first=between[:, 0, 0], between=between,
                      by_layer=(by_layer[:, 0] * by_layer[:, 1]).sum(axis=-1))


def pair(loaded: Loaded, both: Pieces) -> Pair:
    """Args:    both: from `wordpieces.pieces` with a second text.

    Raises:  InputError: as `text.read`.
    """
    reading = read(loaded, (both,))
    parts = np.where(np.isin(reading.ids[0], MARKS), 2, reading.segments[0])
    weights = reading.weights[:, 0]  # l h n n
    shares = np.stack([np.stack([weights[:, :, parts == down][..., parts == across].sum(axis=-1).mean(axis=-1)
                                 for across in range(3)], axis=-1) for down in range(2)], axis=-2)
    as_one = read(loaded, (replace(both, segments=(0,) * len(both.ids)),))
    return Pair(reading=reading, parts=parts, shares=shares,
                moved=np.abs(as_one.vectors[-1, 0] - reading.vectors[-1, 0]).max(axis=-1))


def _cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Row by row."""
    lengths = np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1)
    return (left * right).sum(axis=-1) / lengths
