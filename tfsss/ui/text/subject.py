"""What every view of the page is about: texts in MiniLM, or while it is not here in an untrained Bert of its shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tfsss import weights
from tfsss.data import wordpieces
from tfsss.data.wordpieces import Pieces
from tfsss.explain import text, text_vectors
from tfsss.models.bert import VARIANTS
from tfsss.ui import cache, chooser, downloads
from tfsss.ui.language import language, t
from tfsss.weights import Loaded

ROOM = "text"
WEIGHTS = "minilm_l6"
STYLE = Path(__file__).with_name("text.css")


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """The model, and what it makes of texts, each computed once; every result comes with its milliseconds."""

    loaded: Loaded

    @property
    def untrained(self) -> bool:
        return self.loaded.entry.weights == "random"

    @property
    def badge(self) -> str:
        """What lies on a picture that would mislead without it."""
        return t("text.untrained") if self.untrained else ""

    def read(self, pieces: Pieces) -> tuple[text.Reading, float]:
        return self._timed("read", pieces, lambda: text.read(self.loaded, (pieces,)))

    def pair(self, both: Pieces) -> tuple[text_vectors.Pair, float]:
        return self._timed("pair", both, lambda: text_vectors.pair(self.loaded, both))

    def padding(self, first: Pieces, second: Pieces, extra: int) -> tuple[text_vectors.Padding, float]:
        return self._timed("padding", (first, second, extra),
                           lambda: text_vectors.padding(self.loaded, first, second, extra))

    def compare(self, first: Pieces, second: Pieces) -> tuple[text_vectors.Comparison, float]:
        return self._timed("compare", (first, second), lambda: text_vectors.compare(self.loaded, first, second))

    def _timed(self, name: str, given: object, compute: Callable[[], Any]) -> tuple[Any, float]:
        return cache.read_timed((f"text_{name}", self.loaded.entry.id, given), compute)


@dataclass(frozen=True, kw_only=True, eq=False)
class Taken(downloads.Taken):
    """What a view gives to the downloads and to the foot of the page."""

    forward_ms: float


def current() -> Subject:
    """MiniLM once it has been fetched; until then a Bert of its shape that says that it learned nothing."""
    if weights.is_present(WEIGHTS):
        return Subject(loaded=cache.model(WEIGHTS))
    return Subject(loaded=cache.computed(("text_untrained", WEIGHTS),
                                         lambda: weights.untrained("bert", VARIANTS[WEIGHTS])))


def offer(place: DeltaGenerator) -> None:
    """While an untrained model runs: that it does, and the button that fetches the real one.

    At the end of the page and outside of its fragment: while it is fetched, everything else stays as it is.
    """
    if weights.is_present(WEIGHTS):
        return
    with place:
        words, button = st.columns([3, 2], vertical_alignment="center")
        words.caption(t("text.absent"))
        with button:
            chooser.offer(WEIGHTS)


def labels(pieces: Pieces) -> tuple[str, ...]:
    """The pieces as a picture names them: beside [UNK] the letters that it stands for."""
    return tuple(f"{piece} {source}" if number == wordpieces.UNKNOWN else piece
                 for piece, number, source in zip(pieces.pieces, pieces.ids, pieces.sources))


def said_of(pieces: Pieces) -> str:
    """What became of the letters, as HTML: how many pieces, how many inside words, what the vocabulary lacks."""
    inner = sum(piece.startswith("##") for piece in pieces.pieces)
    lost = [source for number, source in zip(pieces.ids, pieces.sources) if number == wordpieces.UNKNOWN]
    said = [t("text.pieces.count", count=len(pieces.ids))]
    if inner:
        said.append(t("text.pieces.inner", count=inner))
    if lost:
        said.append(t("text.pieces.unknown", count=len(lost), sources=escape(" ".join(lost[:12]))))
    return ("" if language() == "zh" else " ").join(said)
