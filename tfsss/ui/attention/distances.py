"""How far each head looks, and how widely it spreads, layer by layer."""

from __future__ import annotations

import numpy as np
import streamlit as st

from tfsss.figures.color import meaning
from tfsss.figures.lines import Curve, line_figure
from tfsss.figures.maps import palette_png
from tfsss.ui import frame, lecture
from tfsss.ui.attention.subject import Subject, head_numbers
from tfsss.ui.downloads import Taken
from tfsss.ui.attention.taking import DISTANCES_LINES, sheet
from tfsss.ui.language import t


def show(subject: Subject) -> Taken:
    """The view."""
    numbers = head_numbers(subject)
    with lecture.answer("attention.predict.distances"):
        for column, name in zip(st.columns(2), ("distance", "entropy")):
            with column:
                draw(name, getattr(numbers, name), getattr(numbers, f"uniform_{name}"))
    return Taken(png=lambda: sheet([palette_png(numbers.distance, zoom=24), palette_png(numbers.entropy, zoom=24)]),
                 arrays=lambda: {"distance": numbers.distance, "entropy": numbers.entropy,
                                 "uniform": np.array([numbers.uniform_distance, numbers.uniform_entropy])},
                 imports="from tfsss.explain.attention import trace\nfrom tfsss.explain.heads import heads",
                 lines=DISTANCES_LINES)


def draw(name: str, values: np.ndarray, uniform: float) -> None:
    """One number of every head: a dot each, their mean, and what even attention would have."""
    depth, heads = values.shape
    theme, layers = frame.theme(), np.arange(depth)
    st.markdown(f"**{t(f'attention.{name}')}**")
    figure = line_figure(
        [Curve(name=t("attention.each_head"), x=layers.repeat(heads), y=values.ravel(), points=True,
               color=meaning("query", theme)),
         Curve(name=t("attention.mean_head"), x=layers, y=values.mean(axis=1), color=meaning("key", theme)),
         Curve(name=t("attention.uniform"), x=layers, y=np.full(depth, uniform), color=meaning("quiet", theme))],
        x_title=t("attention.layer.axis"), y_title=t(f"attention.{name}.axis"), theme=theme,
        x_range=(-0.5, depth - 0.5), y_range=(0, 1.08 * max(uniform, float(values.max()))), height=330)
    st.plotly_chart(figure, key=f"attention_{name}_figure", config={"displayModeBar": False})
    low, high = np.unravel_index(values.argmin(), values.shape), np.unravel_index(values.argmax(), values.shape)
    st.caption(t(f"attention.{name}.ends", low=f"{values.min():.1f}", low_layer=low[0], low_head=low[1],
                 high=f"{values.max():.1f}", high_layer=high[0], high_head=high[1], uniform=f"{uniform:.1f}"))
