"""The tokens themselves: their length, the attention they draw, and three components of their features."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import streamlit as st
from PIL import Image

from tfsss.explain.attention import on_grid, received
from tfsss.explain.features import LONGER, Outliers, outliers
from tfsss.figures.overlay import overlay_jpeg
from tfsss.ui import cache, lecture, state
from tfsss.ui.attention.asked import picture_alone
from tfsss.ui.attention.subject import Subject, feature_components, together
from tfsss.ui.downloads import Taken
from tfsss.ui.attention.taking import TOKENS_LINES, sheet
from tfsss.ui.canvas import Panel, canvas_text, pack_scene, patch_canvas
from tfsss.ui.language import language, t, weights_name

SIDE = 300  # of one picture on the page, CSS pixels
CELL = 16  # pixels a side of one patch in the picture of components


def show(subject: Subject) -> Taken:
    """The view."""
    depth = len(subject.traced.weights)
    with st.container(key="stage"):
        with st.container(key="controls"):
            left, right = st.columns(2)
            with left:
                state.follow("attention", "layer", depth - 1)
                layer = state.slide("attention", "layer", 0, depth - 1, depth - 1, help=t("attention.layer.help"))
            with right:
                strength = state.slide("attention", "strength", 0.0, 1.0, 0.6, step=0.05,
                                       help=t("attention.strength.help"))
        found, drawn = outliers(subject.traced, layer), feature_components(subject)
        with lecture.answer("attention.predict.tokens"):
            columns = st.columns(3)
            with columns[0]:
                draw_norms(subject, found, strength)
            with columns[1]:
                draw_received(subject, layer, strength)
            with columns[2]:
                draw_components(subject)
    st.caption(counts(subject))

    def png() -> bytes:
        return sheet([overlay_jpeg(subject.pixels, found.norms, vmax=found.threshold, strength=strength),
                      components_png(subject)])

    def arrays() -> dict[str, np.ndarray]:
        return {"outliers": np.stack([outliers(subject.traced, block).is_outlier for block in range(depth)]),
                "received": received(subject.traced), "components": drawn.scores, "colours": drawn.colours,
                "explained": drawn.explained}

    return Taken(png=png, arrays=arrays, lines=TOKENS_LINES.format(layer=layer),
                 imports="from tfsss.explain.attention import trace\n"
                         "from tfsss.explain.features import components, outliers\n"
                         "from tfsss.figures.overlay import overlay_jpeg")


def draw_norms(subject: Subject, found: Outliers, strength: float) -> None:
    """Lengths over the picture; the colours end where the rule for outliers begins."""
    if not lecture.is_revealed("attention.predict.tokens"):
        return picture_alone(subject, "attention_norms", width=SIDE)
    scene = cache.computed(("attention_norms", *subject.key, found.layer), lambda: pack_scene(
        grid=subject.traced.grid, picture=subject.jpeg, panels=(Panel(values=found.norms.ravel()),),
        vmax=found.threshold))
    patch_canvas(scene, key="attention_norms", text=words(), unit=t("attention.norm"), strength=strength, width=SIDE,
                 grid=False, titles=[t("attention.norms", layer=found.layer)])
    st.caption(t("attention.norms.found", count=int(found.is_outlier.sum()), cells=subject.cells,
                 threshold=f"{found.threshold:.1f}", median=f"{found.median:.1f}",
                 ratio=f"{found.norms.max() / found.median:.2f}", longer=f"{LONGER:.2f}"))


def draw_received(subject: Subject, layer: int, strength: float) -> None:
    """How much attention each patch gets in this layer, from all queries and heads."""
    drawn = cache.computed(("received", *subject.key), lambda: received(subject.traced))[layer]
    patches = on_grid(subject.traced, drawn)
    scene = cache.computed(("attention_received", *subject.key, layer), lambda: pack_scene(
        grid=subject.traced.grid, picture=subject.jpeg, panels=(Panel(values=patches.ravel()),)))
    patch_canvas(scene, key="attention_received", text=words(), unit=t("attention.even"), strength=strength,
                 width=SIDE, grid=False, titles=[t("attention.received", layer=layer)])
    largest = t("attention.received.largest", largest=f"{patches.max():.1f}")
    others = [t("attention.received.prefix", name=name, value=f"{value:.1f}")
              for name, value in zip(subject.prefix_names(), drawn)]
    st.caption(together([largest, *others]))


def draw_components(subject: Subject) -> None:
    """The first three components of the final features as red, green and blue."""
    parts = [f"{part:.0%}" for part in feature_components(subject).explained]
    with st.container(key="sharp_components"):
        st.image(components_png(subject), width=SIDE, output_format="PNG",
                 alt=t("attention.components.alt", red=parts[0], green=parts[1], blue=parts[2]))
    st.markdown(f"**{t('attention.components')}**")
    st.caption(t("attention.components.parts", red=parts[0], green=parts[1], blue=parts[2]))


def components_png(subject: Subject) -> bytes:
    """The colours, one block a patch."""
    def draw() -> bytes:
        colours = np.round(feature_components(subject).colours * 255).astype(np.uint8)
        kept = BytesIO()
        Image.fromarray(colours.repeat(CELL, axis=0).repeat(CELL, axis=1)).save(kept, "PNG")
        return kept.getvalue()

    return cache.computed(("attention_components", *subject.key), draw)


def counts(subject: Subject) -> str:
    """The rule, and how many patches it marks in each layer."""
    found = [int(outliers(subject.traced, layer).is_outlier.sum()) for layer in range(len(subject.traced.norms))]
    return t("attention.outliers.rule", counts=", ".join(map(str, found)), total=sum(found),
             name=weights_name(subject.loaded.entry))


def words() -> dict[str, str]:
    """The canvas's own, where a click pins a patch for its number alone."""
    return canvas_text(language()) | {"hint_choose": t("attention.hint_number"),
                                      "hint_pinned": t("attention.hint_number")}
