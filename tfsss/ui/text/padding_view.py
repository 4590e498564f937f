"""The shorter of two texts in one batch: its padding masked, and not; what becomes of its own vectors."""

from __future__ import annotations

import numpy as np
import streamlit as st

from tfsss.data.wordpieces import pieces
from tfsss.explain import text
from tfsss.explain.arrays import arrays_of
from tfsss.explain.text_vectors import Padding
from tfsss.figures.numbers import Numbers, written
from tfsss.ui import lecture, state
from tfsss.ui.language import language, t
from tfsss.ui.masks import show as tables
from tfsss.ui.text import controls
from tfsss.ui.text.subject import ROOM, Subject, Taken, labels
from tfsss.ui.text.taking import PADDING_LINES, named, picture
from tfsss.ui.token_map import TokenMap, map_text, token_map

SIDE = 480  # of one map at most, CSS pixels
MOST_EXTRA = 16


def show(subject: Subject) -> Taken:
    """The view."""
    with st.container(key="controls"):
        first, second, places = controls.two(2.45, 1.7)
        with places[0]:
            layer, head = controls.layer_head(subject)
        with places[1]:
            extra = state.slide(ROOM, "extra", 0, MOST_EXTRA, 0, help=t("text.extra.help"))
    both = [pieces(each) for each in (first, second)]
    made, forward_ms = subject.padding(*both, extra)
    with lecture.answer("text.predict.padding"):
        if made.added:
            draw(subject, made, labels(both[made.row]), (layer, head))
        else:
            st.html(tables.room(tables.say(t("text.padding.none", count=made.count))))
    return Taken(png=picture(lambda: taken_tables(subject, made, layer, head)), forward_ms=forward_ms,
                 lines=PADDING_LINES.format(first=first, second=second, extra=extra, layer=layer, head=head),
                 arrays=lambda: made.masked.arrays() | {"unmasked": made.unmasked.weights} | arrays_of(
                     moved_masked=made.moved_masked, moved_unmasked=made.moved_unmasked,
                     cosine_unmasked=made.cosine_unmasked, lost=made.lost),
                 imports="from tfsss.explain import text_vectors")


def draw(subject: Subject, made: Padding, names: tuple[str, ...], place: tuple[int, int]) -> None:
    """The text's own rows with the padding masked and not, on one scale; under them how far its vectors moved.

    Args:    names: of its pieces; place: layer and head.
    """
    layer, head = place
    maps = weights_of(made, layer, head)
    vmax = float(max(values.max() for values in maps))
    columns, words = (*names, *["[PAD]"] * made.added), map_text(language())
    for column, name, values in zip(st.columns(2, gap="medium"), ("masked", "unmasked"), maps):
        with column:
            allowed = getattr(made, name).mask.allowed[made.row, :made.count]
            token_map(TokenMap(values=values, rows=names, columns=columns, allowed=allowed, vmax=vmax,
                               row_ids=made.masked.ids[made.row, :made.count],
                               first=text.striking(made.masked, layer, head, made.row)),
                      key=f"text_{name}", text=words, unit=t("text.weight"), badge=subject.badge, width=SIDE,
                      title=t(f"text.padding.{name}", layer=layer, head=head))
    st.html(tables.room(
        tables.say(t("text.padding.says", count=made.count, added=made.added, number=made.row + 1,
                     masked=tiny(made.moved_masked.max()), unmasked=f"{made.moved_unmasked.max():.2f}",
                     lost=f"{100 * made.lost.mean():.0f}", low=f"{100 * made.lost.min():.0f}",
                     high=f"{100 * made.lost.max():.0f}"), unmasked=f"{made.moved_unmasked.max():.4f}"),
        tables.table(moved_table(made, names), wide=True),
        tables.say(t("text.padding.sentence", masked=written(made.sentence_masked, 4),
                     unmasked=written(made.sentence_unmasked, 4), counted=written(made.sentence_counted, 4))),
        tables.say(t("text.padding.rows"))))


def weights_of(made: Padding, layer: int, head: int) -> list[np.ndarray]:
    """The text's own rows of one head, masked and not: (n, n + padding) each."""
    return [reading.weights[layer, made.row, head, :made.count] for reading in (made.masked, made.unmasked)]


def moved_table(made: Padding, names: tuple[str, ...]) -> Numbers:
    """How far each piece's final vector moved."""
    values = np.array([[tiny(value) for value in made.moved_masked], [f"{value:.2f}" for value in made.moved_unmasked],
                       [written(float(value), 3) for value in made.cosine_unmasked]])
    return Numbers(title=t("text.padding.moved"), values=values, columns=names,
                   rows=[t(f"text.padding.row.{name}") for name in ("masked", "unmasked", "cosine")])


def tiny(value: float) -> str:
    """A difference that may be rounding: one figure and its power of ten, or 0."""
    return f"{value:.0e}".replace("e-0", "e−").replace("e-", "e−") if value else "0"


def taken_tables(subject: Subject, made: Padding, layer: int, head: int) -> list[list[Numbers]]:
    """The same in English, for the picture to take away."""
    names = made.masked.pieces[made.row]
    return [[Numbers(title=named(f"layer {layer}, head {head}, {name}", subject.untrained), values=values, vmax=1.0,
                     rows=names[:made.count], columns=names, scale="viridis", roles=("query", "key"),
                     allowed=getattr(made, name).mask.allowed[made.row, :made.count])]
            for name, values in zip(("masked", "unmasked"), weights_of(made, layer, head))]
