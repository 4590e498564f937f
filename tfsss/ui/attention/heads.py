"""One head's attention on the picture, and every head of every layer beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from tfsss.explain.attention import of_query, on_grid
from tfsss.figures.maps import montage
from tfsss.figures.overlay import overlay_jpeg
from tfsss.ui import cache, frame, lecture, state
from tfsss.ui.attention.asked import picture_alone
from tfsss.ui.attention.subject import Subject
from tfsss.ui.downloads import Taken
from tfsss.ui.attention.taking import HEADS_LINES, sheet
from tfsss.ui.beside import beside
from tfsss.ui.canvas import Panel, canvas_text, pack_scene, patch_canvas
from tfsss.ui.language import language, t

SIDE, WIDE = 368, 480  # of the picture, and of all heads' maps beside it, at most, CSS pixels
MEAN = "mean"
TOP = 0.99  # the part of the montage's cells below the end of its colours: one sink would leave the rest black
FIELDS = {name: f"{{{name}}}" for name in ("row", "column", "rows", "columns")}  # filled in by the canvas


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What the controls say."""

    layer: int
    head: str  # "mean" or a number
    query: str  # class, mean, patch
    token: int | None  # the pinned one, for "patch"
    strength: float

    @property
    def key(self) -> tuple:
        return self.query, self.token

    def rows(self, subject: Subject, matrices: np.ndarray) -> np.ndarray:
        """The query's rows of (..., n, n): (..., n) float32."""
        if self.query == "patch":
            return matrices[..., self.token, :].astype(np.float32)
        return of_query(subject.traced, matrices, self.query)

    def matrix(self, subject: Subject) -> np.ndarray:
        """(n, n): the head's weights, or the mean of the layer's heads."""
        layer = subject.traced.weights[self.layer]
        return layer.mean(axis=0, dtype=np.float32) if self.head == MEAN else layer[int(self.head)]


def show(subject: Subject) -> Taken:
    """The view."""
    with st.container(key="stage"):
        with st.container(key="controls_heads"):
            chosen = controls(subject)
        with lecture.answer("attention.predict.heads"), beside("heads", 4, 5):
            draw_head(subject, chosen)
            with st.container():
                draw_montage(subject, chosen)
    return taken(subject, chosen)


def controls(subject: Subject) -> Chosen:
    """Five controls in a row."""
    depth, heads, tokens = subject.traced.weights.shape[:3]
    take_clicked_map(depth)
    settle_query(subject)
    state.follow("attention", "layer", depth - 1)
    layer = state.slide("attention", "layer", 0, depth - 1, depth - 1, help=t("attention.layer.help"))
    head = state.choice("attention", "head", [MEAN, *map(str, range(heads))], kind="select",
                        show=lambda option: t("attention.head.mean") if option == MEAN else option)
    queries = ["class", "mean", "patch"] if subject.traced.class_token else ["mean", "patch"]
    query = state.choice("attention", "query", queries)
    token = state.number("attention", "pin", 0, tokens - 1, None,
                         help=t("attention.pin.help", first=subject.traced.num_prefix, last=tokens - 1))
    strength = state.slide("attention", "strength", 0.0, 1.0, 0.6, step=0.05, help=t("attention.strength.help"))
    return Chosen(layer=layer, head=head, query=query, token=token, strength=strength)


def take_clicked_map(depth: int) -> None:
    """A map clicked in the montage chooses its layer and head; let go, the mean of the heads."""
    if "attention_cell" not in st.session_state:
        return
    cell = st.session_state.pop("attention_cell")
    if cell is None:
        st.session_state["attention_head"] = MEAN
    else:
        st.session_state["attention_head"], st.session_state["attention_layer"] = str(cell // depth), cell % depth


def settle_query(subject: Subject) -> None:
    """The kind of query and the pinned token agree; whichever the visitor changed last decides."""
    tokens, prefix, middle = subject.traced.weights.shape[-1], subject.traced.num_prefix, subject.traced.grid[1] // 2
    default = "class" if subject.traced.class_token else "mean"
    state.settle("attention_query", "query", default, str, drawn=False)
    state.settle("attention_pin", "pin", None, int, drawn=False)
    query, pin = st.session_state["attention_query"], st.session_state["attention_pin"]
    before = st.session_state.get("_attention_pinned")
    if pin is not None and not 0 <= pin < tokens:
        pin = None
    if pin == 0 and subject.traced.class_token:  # the class token is a query of its own name
        query, pin = "class", None
    elif pin != before:
        query = default if pin is None and query == "patch" else "patch" if pin is not None else query
    elif query != "patch":
        pin = None
    elif pin is None:
        pin = prefix + subject.cells // 2 + middle
    if query not in ("class", "mean", "patch") or (query == "class" and not subject.traced.class_token):
        query = default
    state.assign("attention_query", query)
    state.assign("attention_pin", pin)
    st.session_state["_attention_pinned"] = pin


def draw_head(subject: Subject, chosen: Chosen) -> None:
    """The picture with the chosen head's row over it; another row under the pointer."""
    if not lecture.is_revealed("attention.predict.heads"):
        return picture_alone(subject, "attention_canvas", width=SIDE, pinned=chosen.token, pin_key="attention_pin")

    def pack() -> bytes:
        matrix = chosen.matrix(subject)
        values = chosen.rows(subject, matrix) if chosen.query == "mean" else matrix
        return pack_scene(grid=subject.traced.grid, picture=subject.jpeg, prefix=subject.traced.num_prefix,
                          panels=(Panel(values=values),))

    scene = cache.computed(("attention_scene", *subject.key, chosen.layer, chosen.head, chosen.query == "mean"), pack)
    head = t("attention.head.mean") if chosen.head == MEAN else t("attention.one_head", head=chosen.head)
    words = canvas_text(language()) | ({"hint_choose": t("attention.hint_mean")} if chosen.query == "mean" else {})
    patch_canvas(scene, key="attention_canvas", text=words, unit=t("attention.weight"), pinned=chosen.token,
                 pin_key="attention_pin", prefix=subject.prefix_names(), strength=chosen.strength, width=SIDE,
                 titles=[t("attention.shown", layer=chosen.layer, head=head)])


def draw_montage(subject: Subject, chosen: Chosen) -> None:
    """All heads at a glance, each map a button."""
    depth, heads, n, _ = subject.traced.weights.shape
    png, width, top, largest = every_head(subject, chosen)
    scene = cache.computed(("attention_montage_scene", *subject.key, *chosen.key),
                           lambda: pack_scene(grid=(heads, depth), picture=png))
    words = canvas_text(language()) | {name: t(f"attention.montage.{name}", **FIELDS)
                                       for name in ("label", "patch", "hint_choose", "hint_pinned")}
    head = None if chosen.head == MEAN else int(chosen.head) * depth + chosen.layer
    patch_canvas(scene, key="attention_montage", text=words, pinned=head, pin_key="attention_cell", width=width,
                 grid=False, titles=[t("attention.montage", query=t(f"attention.query.{chosen.query}"))])
    scale = frame.bar("0", f"{top:.3f}", t("attention.weight"))
    ends = t("attention.montage.range", largest=f"{largest:.2f}", even=f"{1 / n:.4f}")
    st.html(f'{scale}<div class="tfsss-small">{ends}</div>'
            f'<code class="tfsss-shape">(l, h, n, n) = ({depth}, {heads}, {n}, {n})</code>')


def every_head(subject: Subject, chosen: Chosen) -> tuple[bytes, int, float, float]:
    """The montage as PNG, its width in pixels, the end of its colours and the largest weight in it."""
    def draw() -> tuple[bytes, int, float, float]:
        maps = on_grid(subject.traced, chosen.rows(subject, subject.traced.weights))
        depth, heads, gy, gx = maps.shape
        zoom = max(1, min(SIDE // (heads * gy + 2), WIDE // (depth * gx + 2)))
        top = float(np.quantile(maps, TOP)) or 1.0
        png = montage(maps.swapaxes(0, 1), vmax=top, zoom=zoom)
        return png, depth * (gx * zoom + 2) - 2, top, float(maps.max())

    return cache.computed(("attention_montage", *subject.key, *chosen.key), draw)


def taken(subject: Subject, chosen: Chosen) -> Taken:
    """The row that is shown, on the picture."""
    def png() -> bytes:
        row = on_grid(subject.traced, chosen.rows(subject, chosen.matrix(subject)))
        return sheet([subject.pixels, overlay_jpeg(subject.pixels, row, strength=chosen.strength),
                      every_head(subject, chosen)[0]])

    row = f"matrix[{chosen.token}]" if chosen.query == "patch" else f'of_query(traced, matrix, "{chosen.query}")'
    head = ".mean(axis=0, dtype=np.float32)" if chosen.head == MEAN else f"[{chosen.head}]"
    return Taken(png=png, arrays=lambda: {"row": chosen.rows(subject, chosen.matrix(subject))},
                 imports="from tfsss.explain.attention import of_query, on_grid, trace\n"
                         "from tfsss.figures.overlay import overlay_jpeg",
                 lines=HEADS_LINES.format(layer=chosen.layer, head=head, row=row, strength=chosen.strength))
