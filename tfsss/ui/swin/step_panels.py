"""What stands beside the moving map: the code of every step with its shapes, region ids, a window's mask, attention."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np
import streamlit as st

from tfsss.explain.swin import Leak, Windows, WindowWeights, leak
from tfsss.figures.maps import montage
from tfsss.figures.overlay import jpeg
from tfsss.figures.windows import arranged, padded_picture, tinted
from tfsss.ui import cache, state
from tfsss.ui.canvas import Panel, canvas_text, pack_scene, patch_canvas
from tfsss.ui.language import language, sentences, t
from tfsss.ui.swin.pieces import figure, note, png, row, signed, table
from tfsss.ui.swin.scene import LIFTED, STEPS
from tfsss.ui.swin.subject import ROOM, Cut, Subject, cell_of

MASK_SIDE, PANEL_SIDE = 250, 190  # CSS pixels
MASKS_SIDE = 120
TALLEST = 220  # of the maps of regions


@dataclass(frozen=True, kw_only=True)
class Looked:
    """Which window is lifted out, and at which head and query in it one looks."""

    window: int
    head: int = 0
    query: int | None = None  # None = the one under the pointer


def controls(name: str, subject: Subject, made: Windows) -> Looked:
    """The controls of a step; without one the last window is the one, where most regions meet."""
    last, places = len(made.tokens) - 1, made.tokens.shape[1] - 1
    if name not in LIFTED:
        kept = st.session_state[state.KEPT].get(f"{ROOM}_at")
        return Looked(window=last if kept is None else min(kept, last))
    with st.container(key="swin_looked"):
        window = state.number(ROOM, "at", 0, last, None, help=t("swin.at.help", last=last))
        window = last if window is None else window
        if name == "mask":
            return Looked(window=window)
        head = state.number(ROOM, "head", 0, subject.loaded.entry.config.num_heads[0] - 1, 0)
        query = state.number(ROOM, "query", 0, places, None, help=t("swin.query.help", last=places))
    return Looked(window=window, head=head, query=query)


def show(name: str, subject: Subject, cut: Cut, made: Windows, looked: Looked) -> None:
    """The panel of a step."""
    if name == "ids":
        regions(subject, cut, made)
    elif name == "mask":
        mask(cut, made, looked.window)
    elif name == "attention":
        attention(subject, cut, looked)
    else:
        st.html(code_table(subject, made, name))


def under(name: str, subject: Subject, cut: Cut, made: Windows, looked: Looked) -> str:
    """What stands below the moving map."""
    if name == "mask":
        return every_mask(cut, made)
    return attention_words(subject, cut, subject.weights(cut)[0], looked) if name == "attention" else ""


def code_table(subject: Subject, made: Windows, name: str) -> str:
    """Every step as code, with the shape of what it makes; the present one stands out."""
    (gy, gx), (py, px), m, s = made.grid, made.padded, made.window, made.shift
    dim, (w, n) = subject.loaded.entry.config.embed_dim, made.tokens.shape
    heads = subject.loaded.entry.config.num_heads[0]
    ways = {
        "grid": ("x", f"(1, {gy}, {gx}, {dim})"),
        "pad": (f"pad_to_multiple(x, {m})", f"(1, {py}, {px}, {dim})"),
        "partition": (f"partition(x, {m})", f"({w}, {n}, {dim})"),
        "shift": (f"cyclic_shift(x, {s})", f"(1, {py}, {px}, {dim})"),
        "ids": (f"region_ids(({py}, {px}), {m}, {s})", f"({py}, {px})"),
        "mask": (f"window_mask(({gy}, {gx}), {m}, {s})", f"({w}, {n}, {n})"),
        "attention": ("attn(partition(x), allowed)", f"({w}, {heads}, {n}, {n})"),
        "reverse": (f"cyclic_shift(x, {-s if s else 0})", f"(1, {py}, {px}, {dim})"),
        "crop": (f"x[:, :{gy}, :{gx}]", f"(1, {gy}, {gx}, {dim})"),
    }
    rows = [(escape(t(f"swin.step.{step}")), f"<code>{escape(code)}</code>", f"<code>{shape}</code>")
            for step, (code, shape) in ways.items()]
    head = (t("swin.code.step"), t("swin.code.code"), t("swin.code.shape"))
    return table(rows, head=head, marked=[STEPS.index(name)], name="way") + note(t("swin.code.note"))


def regions(subject: Subject, cut: Cut, made: Windows) -> None:
    """The ids where they are given, on the rolled map, and where those tokens stood before."""
    cell = cell_of(cut.grid)

    def draw() -> tuple[bytes, bytes]:
        whole = padded_picture(subject.shown(cut.grid), cell, made.padded)
        return (png(tinted(arranged(whole, cell, made.rolled), made.ids - 1)),
                png(tinted(whole, made.ids_at_home - 1)))

    rolled, home = cache.computed(("swin_regions", subject.picture.digest, cut), draw)
    words = {"regions": len(np.unique(made.ids)), "m": made.window, "shift": made.shift}
    py, px = made.padded
    small = f"max-width:{max(60, round(TALLEST * px / py))}px"
    st.html(row([figure(rolled, t("swin.ids.rolled.alt", **words), title=t("swin.ids.rolled"), style=small),
                 figure(home, t("swin.ids.home.alt", **words), title=t("swin.ids.home"), style=small)], across=2))
    bands = [(f"{start} … {stop - 1}", str(number)) for number, (start, stop) in enumerate(
        [(0, py - made.window), (py - made.window, py - made.shift), (py - made.shift, py)]) if start < stop]
    st.html(table(bands, head=(t("swin.ids.rows"), t("swin.ids.band"))) + note(t("swin.ids.rule", **words)))


def mask(cut: Cut, made: Windows, chosen: int) -> None:
    """One window's mask, from the difference of its ids, and the masks of all."""
    count = made.tokens.shape[1]
    scene = cache.computed(("swin_mask", cut, chosen), lambda: pack_scene(
        grid=(count, count), scale="signed", vmax=8, panels=(Panel(
            values=made.differences[chosen].astype(np.float32).ravel(), allowed=made.allowed[chosen].ravel()),)))
    st.html(note(t("swin.mask.axes")))
    patch_canvas(scene, key="swin_mask", text=pair_text("mask"), unit=t("swin.mask.unit"), strength=1.0,
                 width=MASK_SIDE, grid=count <= 16)


def pair_text(room: str) -> dict[str, str]:
    """The canvas's words where its cells are pairs of a query (down) and a key (across)."""
    words = sentences(language(), "swin")
    return canvas_text(language()) | {part: words[f"pair.{room}.{part}"] for part in (
        "label", "patch", "cell", "strongest", "blocked", "hint_choose")}


def every_mask(cut: Cut, made: Windows) -> str:
    """The masks of all windows, where the windows are."""
    count = made.tokens.shape[1]
    rows, columns = (side // made.window for side in made.padded)
    zoom = max(1, MASKS_SIDE // (max(rows, columns) * count))
    every = cache.computed(("swin_masks", cut), lambda: montage(
        made.allowed.reshape(rows, columns, count, count) * 0.0, zoom=zoom, scale="signed",
        allowed=made.allowed.reshape(rows, columns, count, count)))
    blocked = float((~made.allowed).mean())
    alt = t("swin.masks.alt", windows=len(made.tokens), rows=rows, columns=columns, percent=f"{100 * blocked:.1f}")
    free = int(made.allowed.all(axis=(1, 2)).sum())
    words = note(t("swin.masks", windows=len(made.tokens), free=free, percent=f"{100 * blocked:.1f}"))
    return (f'<div class="swin-row">{figure(every, alt, style=f"width:{columns * (count * zoom + 2) - 2}px")}'
            f'<div style="flex:1;min-width:9rem">{words}</div></div>')


def attention(subject: Subject, cut: Cut, looked: Looked) -> None:
    """Inside the window: each place's attention over the others, as if all were allowed and with the mask."""
    made, _ = subject.weights(cut)
    side, chosen, head = cut.window, looked.window, looked.head

    def scene() -> bytes:
        cell = cell_of(cut.grid)
        whole = padded_picture(subject.shown(cut.grid), cell, made.windows.padded)
        inside = arranged(whole, cell, made.windows.tokens[chosen].reshape(side, side))
        return pack_scene(grid=(side, side), picture=jpeg(inside, max_side=256), panels=(
            Panel(values=made.before[chosen, head]),
            Panel(values=made.after[chosen, head], allowed=made.windows.allowed[chosen])))

    packed = cache.computed(("swin_inside", *subject.key, cut, chosen, head), scene)
    mark = f" · {t('swin.untrained')}" if subject.untrained else ""
    patch_canvas(packed, key="swin_inside", text=canvas_text(language()), unit=t("swin.attention.unit"),
                 pinned=looked.query, pin_key=f"{ROOM}_query", width=PANEL_SIDE, columns=2,
                 strength=0.75, titles=[t("swin.attention.before") + mark, t("swin.attention.after") + mark])


def attention_words(subject: Subject, cut: Cut, made: WindowWeights, looked: Looked) -> str:
    """What the mask took away, and what a number added instead of it leaves."""
    lost = left_over(subject, cut)
    share = float(made.removed[looked.window, looked.head])
    rows = [(f"<code>{signed(added, 'g')}</code>", f"{100 * part:.3g} %")
            for added, part in zip(lost.added, lost.share)]
    own = "own" if made.own else "resized" if made.resized else "other"
    return (note(t("swin.attention.removed", percent=f"{100 * share:.1f}", head=looked.head, window=looked.window))
            + note(t(f"swin.attention.{own}", block=subject.block, model=subject.window,
                     usual=made.windows.usual_shift))
            + (table(rows, head=(t("swin.leak.added"), t("swin.leak.left"))) if lost.share.any() else ""))


def left_over(subject: Subject, cut: Cut) -> Leak:
    """What reaches forbidden keys when numbers are added in place of the mask."""
    return cache.computed(("swin_leak", *subject.key, cut), lambda: leak(subject.weights(cut)[0]))
