"""The sandbox with MiniLM: sentences of real words, padded, and what a mask does in one of its heads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tfsss import weights
from tfsss.data import wordpieces
from tfsss.explain import masks, text
from tfsss.explain.arrays import arrays_of
from tfsss.explain.text import Reading
from tfsss.figures.numbers import Numbers
from tfsss.ui import cache, chooser, lecture, state
from tfsss.ui.language import t
from tfsss.ui.masks import show, typed
from tfsss.ui.masks.head_tables import attention, conventions, layer_head, short
from tfsss.ui.masks.show import Taken, say
from tfsss.weights import Loaded

WEIGHTS = "minilm_l6"
TEXTS = "Dogs bark. / The cat sat down. / Why?"
IMPORTS = """from tfsss import weights
from tfsss.data.wordpieces import pieces
from tfsss.explain import masks, text
"""
LINES = """loaded = weights.load("{id}")
reading = text.read(loaded, [pieces(each) for each in {texts!r}], groups={groups!r})
head = text.one_head(reading, {layer}, {head}, {row})
np.set_printoptions(precision=2, suppress=True)
print(reading.mask.shape, "blocked rows:", int(reading.mask.blocked_rows.sum()))
print(head.weights)
tables = [[Numbers(title="weights", values=head.weights, rows=head.queries, columns=head.keys, allowed=head.allowed,
                   scale="viridis", vmax=1.0)]]
arrays = arrays_of(mask=reading.mask, **masks.conventions(reading.mask)._asdict(), head=head)"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Given:
    """What the foot of the page tells."""

    loaded: Loaded
    ms: float

    def run_ms(self) -> float:
        return self.ms


def sandbox(above: DeltaGenerator, below: DeltaGenerator, stage: str) -> tuple[Given | None, Taken | None]:
    """Sentences, a mask that the visitor puts together, and one of three things to see of it.

    Args:    above, below: places for what is typed and for the rules.
    Returns: None and None while MiniLM is not here: then its button stands above instead.
    """
    if not weights.is_present(WEIGHTS):
        with above:
            st.markdown(t("masks.minilm.absent"))
            chooser.ask(WEIGHTS)
        return None, None
    loaded = cache.model(WEIGHTS)
    with above:
        typed_in, which, more = st.columns([9, 3, 2.7], vertical_alignment="bottom")
    with typed_in:
        texts = _texts()
    with which:
        row = int(state.choice("masks", "row", [str(number) for number in range(len(texts))], kind="select",
                               show=lambda number: f"{number}: {texts[int(number)]}"))
    layer, head = layer_head(more, loaded.entry.config.depth, loaded.entry.config.num_heads)
    with below:
        groups = typed.rules("encoder")["encoder"]
    reading, ms = cache.read_timed(("masks_minilm", texts, groups), lambda: text.read(
        loaded, [wordpieces.pieces(each) for each in texts], groups=groups))
    one = text.one_head(reading, layer, head, row)
    html, tables = {"ids": lambda: _ids(reading, row), "attention": lambda: attention(reading.mask, one),
                    "mask": lambda: conventions(reading.mask, row, (one.queries, one.keys))}[stage]()
    with lecture.answer("masks.predict.masks"):
        st.html(show.room(html))
    return Given(loaded=loaded, ms=ms), Taken(
        tables=tables, imports=IMPORTS,
        lines=LINES.format(id=WEIGHTS, texts=texts, groups=groups, layer=layer, head=head, row=row),
        arrays=lambda: arrays_of(mask=reading.mask, **masks.conventions(reading.mask)._asdict(), head=one))


def _texts() -> tuple[str, ...]:
    """Sentences with / between them."""
    line = state.words("masks", "texts", TEXTS, max_chars=300, help=t("masks.texts.help"))
    return tuple(part.strip() for part in line.split("/") if part.strip()) or (line,)


def _ids(reading: Reading, row: int) -> tuple[str, list]:
    """The rectangle of ids, with the word pieces that they stand for."""
    values = np.array([[f"{short(piece)} {number}" for piece, number in zip(*line, strict=True)]
                       for line in zip(reading.pieces, reading.ids.tolist(), strict=True)])
    part = Numbers(title=t("masks.minilm.ids"), values=values, allowed=reading.tokens, row=row,
                   rows=[str(number) for number in range(len(values))], shape=f"(b, n) = {reading.ids.shape}",
                   columns=[str(number) for number in range(values.shape[1])])
    words = say(t("masks.minilm.ids.says", count=len(values), columns=values.shape[1]))
    return words + show.table(part, wide=True), [[part]]
