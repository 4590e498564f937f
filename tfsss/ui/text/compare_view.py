"""Two texts as all-MiniLM compares them: the mean of their vectors, its cosine, and every piece against every piece."""

from __future__ import annotations

import numpy as np
import streamlit as st

from tfsss.data.wordpieces import pieces
from tfsss.explain.arrays import arrays_of
from tfsss.explain.text import words_among
from tfsss.explain.text_vectors import Comparison
from tfsss.figures.numbers import Numbers, written
from tfsss.ui import lecture, state
from tfsss.ui.language import language, t
from tfsss.ui.masks import show as tables
from tfsss.ui.text import controls
from tfsss.ui.text.subject import ROOM, Subject, Taken, labels, said_of
from tfsss.ui.text.taking import COMPARE_LINES, named, picture
from tfsss.ui.token_map import TokenMap, map_text, token_map

SIDE = 520
ROLES = ("row", "down", "across", "cell", "hint_hover", "label")  # what "query" and "key" are called here
FIELDS = {name: f"{{{name}}}" for name in ("place", "name", "value", "unit", "rows", "columns")}  # filled in by the map


def show(subject: Subject) -> Taken:
    """The view."""
    depth = subject.loaded.entry.config.depth
    with st.container(key="controls"):
        *texts, (place,) = controls.two(2.5)
        with place:
            after = state.slide(ROOM, "after", 0, depth, depth, help=t("text.after.help"))
    both = [pieces(text) for text in texts]
    made, forward_ms = subject.compare(*both)
    with lecture.answer("text.predict.compare"):
        left, right = st.columns([6, 5], gap="medium")
        with left:
            draw(subject, made, *map(labels, both), after)
        with right:
            best = made.between[after].max(axis=1)
            parts = [tables.say(t("text.compare.cosine", after=after, cosine=written(float(made.by_layer[after]), 3)),
                                name="text-large", cosine=f"{made.by_layer[after]:.4f}"),
                     tables.table(layers_table(made, after), wide=True),
                     tables.say(t("text.compare.means", first=len(both[0].ids), second=len(both[1].ids))),
                     tables.say(t("text.compare.best", mean=written(float(best.mean()))))]
            parts += [tables.say(f"{number}. {said_of(each)}") for number, each in enumerate(both, 1)]
            st.html(tables.room(*parts))
    return Taken(png=picture(lambda: taken_tables(subject, made, after)), forward_ms=forward_ms,
                 lines=COMPARE_LINES.format(first=texts[0], second=texts[1], after=after),
                 arrays=lambda: made.reading.arrays() | arrays_of(
                     sentences=made.sentences, by_layer=made.by_layer, first=made.first, between=made.between),
                 imports="from tfsss.explain import text_vectors")


def draw(subject: Subject, made: Comparison, rows: tuple[str, ...], columns: tuple[str, ...], after: int) -> None:
    """First text down, second text across."""
    nearest = made.between[after][:, 1:-1].max(axis=1)  # without [CLS] and [SEP]
    ids = made.reading.ids[0, :len(rows)]
    first = int(np.where(words_among(rows, ids), nearest, -np.inf).argmax())
    words = map_text(language()) | {name: t(f"text.between.{name}", **FIELDS) for name in ROLES}
    token_map(TokenMap(values=made.between[after], rows=rows, columns=columns, scale="signed",
                       row_ids=ids, first=first),
              key="text_between", text=words, unit=t("text.between.unit"), badge=subject.badge, width=SIDE,
              title=t("text.between", after=after))


def layers_table(made: Comparison, after: int) -> Numbers:
    """The cosine before the first block and after each, of the means and of [CLS]."""
    return Numbers(title=t("text.compare.layers"), values=np.stack([made.by_layer, made.first]), scale="signed",
                   vmax=1.0, rows=[t("text.compare.mean"), "[CLS]"], column=after,
                   columns=list(map(str, range(len(made.by_layer)))))


def taken_tables(subject: Subject, made: Comparison, after: int) -> list[list[Numbers]]:
    """The same in English, for the picture to take away."""
    rows, columns = (names[:count] for names, count in zip(made.reading.pieces, made.reading.tokens.sum(axis=1)))
    return [[Numbers(title=named(f"cosines after block {after}", subject.untrained), values=made.between[after],
                     rows=rows, columns=columns, scale="signed", vmax=1.0)]]
