"""Text to word pieces, as BERT's uncased English models read it. The vocabulary ships, so no network is needed.

Text is lower-cased and loses its accents; punctuation and Chinese characters stand alone; then each word is cut, from
its beginning, into the longest pieces that the vocabulary has ("##" = goes on inside a word). A word that cannot be cut
so becomes [UNK] as a whole: most Chinese characters do.

Source: Devlin et al. 2019, arXiv:1810.04805, sec. 3 (WordPiece: Wu et al. 2016, arXiv:1609.08144, sec. 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from tfsss.errors import InputError

FILE = Path(__file__).parents[2] / "assets" / "weights" / "minilm_l6.tokenizer.json"
PADDING, UNKNOWN, FIRST, SEPARATOR = 0, 100, 101, 102  # [PAD], [UNK], [CLS], [SEP]
MARKS = (PADDING, FIRST, SEPARATOR)  # stand for nothing in the text


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """One text, or two as a pair, as the model reads it: [CLS] first, [SEP] behind each text."""

    pieces: tuple[str, ...]  # n
    ids: tuple[int, ...]  # n, rows of the vocabulary
    segments: tuple[int, ...]  # n, 0 = first text, 1 = second
    sources: tuple[str, ...]  # n, the letters that each piece stands for, as they were typed; "" for [CLS] and [SEP]


@cache
def tokenizer() -> Tokenizer:
    """The tokenizer, which neither cuts off nor pads, whatever its file says."""
    read = Tokenizer.from_file(str(FILE))
    read.no_truncation()
    read.no_padding()
    return read


def pieces(text: str, second: str | None = None) -> Pieces:
    """Cut a text, or two texts that are read as a pair.

    Raises:  InputError: a text without anything to read.
    """
    made = tokenizer().encode(text, second)
    texts = (text, second or "")
    for number in range(1 if second is None else 2):
        if not any(segment == number and each not in MARKS for each, segment in zip(made.ids, made.type_ids)):
            raise InputError("text.empty", number=number + 1)
    sources = tuple(texts[segment][start:end] for segment, (start, end) in zip(made.type_ids, made.offsets))
    return Pieces(pieces=tuple(made.tokens), ids=tuple(made.ids), segments=tuple(made.type_ids), sources=sources)


def pad(rows: Sequence[Pieces], extra: int = 0) -> tuple[Tensor, Tensor]:
    """Rows of pieces as rectangles, filled up behind with [PAD] of segment 0.

    Args:    extra: columns of padding behind the longest row too.
    Returns: ids and segments, each (b, n) int64.
    """
    length = max(len(row.ids) for row in rows) + extra
    ids, segments = (torch.tensor([[*row, *[PADDING] * (length - len(row))] for row in side])
                     for side in ([row.ids for row in rows], [row.segments for row in rows]))
    return ids, segments


def symbols(ids: Sequence[int]) -> tuple[str, ...]:
    """How ids are written, [PAD] too.  Args: ids: (n,)."""
    return tuple(tokenizer().id_to_token(int(number)) for number in ids)
