"""One head's attention between word pieces, large, and every layer and head beside it; of one text, or of a pair."""

from __future__ import annotations

from html import escape

import numpy as np
import streamlit as st

from tfsss.data import wordpieces
from tfsss.explain import text
from tfsss.explain.arrays import arrays_of
from tfsss.explain.text import Reading
from tfsss.explain.text_vectors import Pair
from tfsss.figures.maps import montage
from tfsss.figures.numbers import Numbers
from tfsss.ui import cache, frame, lecture, state
from tfsss.ui.canvas import canvas_text, pack_scene, patch_canvas
from tfsss.ui.language import language, t
from tfsss.ui.masks import show as tables
from tfsss.ui.text import controls
from tfsss.ui.text.subject import ROOM, Subject, Taken, labels, said_of
from tfsss.ui.text.taking import ATTENTION_LINES, PAIR_LINES, head_table, picture
from tfsss.ui.token_map import TokenMap, map_text, token_map

SIDE, WIDE = 520, 430  # of the large map, and of all the small ones, at most, CSS pixels
FIELDS = {name: f"{{{name}}}" for name in ("row", "column", "rows", "columns")}  # filled in by the canvas


def single(subject: Subject) -> Taken:
    """One text."""
    with st.container(key="controls"):
        places = st.columns([3.3, 1.55, 2.1, 2.1, 2], vertical_alignment="bottom")
        with places[0]:
            typed = controls.first()
        with places[1]:
            controls.examples()
        with places[2]:
            layer, head = controls.layer_head(subject)
        pieces = wordpieces.pieces(typed)
        with places[3]:
            names = labels(pieces)
            pinned = controls.token(names)
        with places[4]:
            draw = state.choice(ROOM, "draw", ("cells", "lines"), hide_label=True)
    reading, forward_ms = subject.read(pieces)
    one = text.one_head(reading, layer, head)
    with lecture.answer("text.predict.attention"):
        left, right = st.columns([6, 5], gap="medium")
        with left:
            draw_head(subject, reading, (layer, head), names, pinned, draw=draw)
        with right:
            draw_every_head(subject, reading, layer, head)
            st.html(tables.room(tables.say(_habits(reading, names, layer, head)), tables.say(said_of(pieces))))
    return Taken(png=picture(lambda: [[head_table(one, layer, head, subject.untrained)]]), forward_ms=forward_ms,
                 lines=ATTENTION_LINES.format(text=typed, layer=layer, head=head),
                 arrays=lambda: reading.arrays() | arrays_of(head=one), imports="from tfsss.explain import text")


def paired(subject: Subject) -> Taken:
    """Two texts in one sequence, told apart by [SEP] and by their segments."""
    with st.container(key="controls"):
        one, other, places = controls.two(2.45, 1.8)
        with places[0]:
            layer, head = controls.layer_head(subject)
        pieces = wordpieces.pieces(one, other)
        with places[1]:
            names = labels(pieces)
            pinned = controls.token(names)
    made, forward_ms = subject.pair(pieces)
    chosen = text.one_head(made.reading, layer, head)
    with lecture.answer("text.predict.pair"):
        left, right = st.columns([6, 5], gap="medium")
        with left:
            split = int((made.reading.segments[0] == 0).sum())
            draw_head(subject, made.reading, (layer, head), names, pinned, splits=(split,))
        with right:
            draw_every_head(subject, made.reading, layer, head)
            st.html(tables.room(*_parts(made, layer, head)))
        st.html(tables.room(tables.table(_input(made.reading), wide=True), tables.say(t("text.pair.input"))))
    return Taken(png=picture(lambda: [[head_table(chosen, layer, head, subject.untrained)]]), forward_ms=forward_ms,
                 lines=PAIR_LINES.format(first=one, second=other, layer=layer, head=head),
                 arrays=lambda: made.reading.arrays() | arrays_of(head=chosen, shares=made.shares, moved=made.moved),
                 imports="from tfsss.explain import text, text_vectors")


def draw_head(subject: Subject, reading: Reading, place: tuple[int, int], names: tuple[str, ...], pinned: int | None,
              *, draw: str = "cells", splits: tuple[int, ...] = ()) -> None:
    """One head, large.  Args: place: layer and head."""
    layer, head = place
    token_map(TokenMap(values=reading.weights[layer, 0, head], rows=names, columns=names, row_ids=reading.ids[0],
                       vmax=_top(reading), first=text.striking(reading, layer, head), splits=splits, draw=draw),
              key="text_map", text=map_text(language()), unit=t("text.weight"), badge=subject.badge, pinned=pinned,
              title=t("text.shown", layer=layer, head=head), on_pin=controls.pin, width=SIDE)


def draw_every_head(subject: Subject, reading: Reading, layer: int, head: int) -> None:
    """All heads at a glance, each map a button."""
    depth, _, heads, n, _ = reading.weights.shape
    key = (subject.loaded.entry.id, reading.ids.tobytes(), reading.segments.tobytes())
    zoom = max(1, WIDE // (heads * n + 2))

    def draw() -> bytes:
        return pack_scene(grid=(depth, heads), picture=montage(reading.weights[:, 0], vmax=_top(reading), zoom=zoom))

    words = canvas_text(language()) | {name: t(f"text.montage.{name}", **FIELDS)
                                       for name in ("label", "patch", "hint_choose", "hint_pinned")}
    st.markdown(t("text.montage"))
    with st.container(key="text_every", gap=None):
        patch_canvas(cache.computed(("text_montage", *key), draw), key="text_montage", text=words, grid=False,
                     pinned=layer * heads + head, pin_key="text_cell", width=max(240, heads * (n * zoom + 2) - 2))
        if subject.badge:
            st.html(f'<span class="text-badge">{subject.badge}</span>')
    st.html(frame.bar("0", f"{_top(reading):.2f}", t("text.weight")))
    st.caption(t("text.montage.range", even=f"{1 / n:.3f}"))
    st.html(f'<code class="tfsss-shape">(l, h, n, n) = ({depth}, {heads}, {n}, {n})</code>')


def _top(reading: Reading) -> float:
    """End of the one scale: the largest weight of all heads."""
    return float(reading.weights.max())


def _habits(reading: Reading, names: tuple[str, ...], layer: int, head: int) -> str:
    """Where the chosen head's attention goes: to which piece, and to which place, whatever the words are."""
    found = text.habits(reading)
    received = found.received[layer, head]
    most = int(received.argmax())
    return t("text.habits", count=int(reading.tokens[0].sum()), piece=escape(names[most]),
             most=f"{100 * received[most]:.0f}", **{
        name: f"{100 * getattr(found, name)[layer, head]:.0f}"
        for name in ("first", "separator", "itself", "before", "behind")})


def _parts(made: Pair, layer: int, head: int) -> tuple[str, str]:
    """From which text the attention goes to which, and what the segments do."""
    shares = Numbers(title=t("text.pair.shares"), values=made.shares[layer, head], scale="viridis", vmax=1.0,
                     rows=[t("text.part.first"), t("text.part.second")], roles=("query", "key"),
                     columns=[t(f"text.part.{name}") for name in ("first", "second", "marks")])
    last = np.abs(made.reading.vectors[-1, 0]).max()
    words = t("text.pair.segments", most=f"{made.moved.max():.2f}", mean=f"{made.moved.mean():.2f}", last=f"{last:.1f}")
    return tables.table(shares, wide=True), tables.say(words, most=f"{made.moved.max():.4f}")


def _input(reading: Reading) -> Numbers:
    """What the model is given."""
    count = reading.ids.shape[1]
    values = np.array([reading.pieces[0], reading.ids[0].tolist(), list(range(count)), reading.segments[0].tolist()],
                      dtype=object)
    return Numbers(title=t("text.pair.reads"), values=values.astype(str),
                   rows=[t(f"text.pair.{name}") for name in ("piece", "id", "position", "segment")])
