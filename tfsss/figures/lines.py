"""Curves, for the figures that a person hovers: one plotly spec for all, so that only its data changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from tfsss.figures.color import OKABE_ITO, Theme, meaning

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
FONT = ("system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', "
        "sans-serif")


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """One line of a figure. Lines differ by dash as well as by colour."""

    name: str
    x: np.ndarray
    y: np.ndarray
    color: str | None = None  # None = the next of Okabe and Ito's; a role takes its own from `color.meaning`
    spread: np.ndarray | None = None  # half width of a band around `y` (chance over several orders)
    points: bool = False  # dots that no line joins (heads, which have no order)


def line_figure(curves: list[Curve], *, x_title: str, y_title: str, theme: Theme = "light",
                x_range: tuple[float, float] | None = None, y_range: tuple[float, float] | None = None,
                height: int = 320, markers: bool = False) -> go.Figure:
    """Curves over one pair of axes, legend above the plot, where it stays readable on a phone.

    Args:    curves: in the order of the legend.
             x_title, y_title: with units, in the visitor's language.
             x_range, y_range: fixed ends; None = from the data.
             markers: show the computed points (curves of few steps), not only the line between them.
    """
    figure = go.Figure(layout=layout(theme, height))
    for order, curve in enumerate(curves):
        color = curve.color or palette_color(order, theme)
        if curve.spread is not None:
            figure.add_trace(band(curve, color))
        figure.add_trace(go.Scatter(
            x=compact(curve.x), y=compact(curve.y), name=curve.name, legendgroup=curve.name,
            mode="markers" if curve.points else "lines+markers" if markers else "lines", marker_size=6,
            line={"color": color, "width": 2, "dash": DASHES[order % len(DASHES)]},
        ))
    figure.update_xaxes(title_text=x_title, range=x_range)
    figure.update_yaxes(title_text=y_title, range=y_range)
    return figure


def palette_color(order: int, theme: Theme) -> str:
    """The colour of the n-th curve; black becomes the theme's text colour, yellow is left out (too pale on white)."""
    choices = [meaning("text", theme) if color == "#000000" else color for color in OKABE_ITO if color != "#F0E442"]
    return choices[order % len(choices)]


def band(curve: Curve, color: str) -> go.Scatter:
    """The spread around a curve, as one closed outline."""
    x = np.concatenate([curve.x, curve.x[::-1]])
    y = np.concatenate([curve.y + curve.spread, (curve.y - curve.spread)[::-1]])
    red, green, blue = (int(color[at: at + 2], 16) for at in (1, 3, 5))
    return go.Scatter(x=compact(x), y=compact(y), fill="toself", fillcolor=f"rgba({red},{green},{blue},0.18)",
                      line={"width": 0}, mode="lines", hoverinfo="skip", showlegend=False, legendgroup=curve.name)


def compact(values: np.ndarray) -> np.ndarray:
    """float32, which plotly sends as typed bytes (float16 and lists go out as text)."""
    return np.asarray(values, np.float32)


def layout(theme: Theme, height: int) -> dict:
    """Everything that does not depend on the data: transparent, the page's own fonts, quiet grid."""
    text, line = meaning("text", theme), meaning("line", theme)
    axis = {"gridcolor": line, "linecolor": line, "zerolinecolor": line, "ticks": "outside", "tickcolor": line,
            "automargin": True, "title": {"standoff": 8, "font": {"size": 13}}, "fixedrange": True}
    return {
        "template": "none", "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "height": height,
        "font": {"family": FONT, "size": 13, "color": text}, "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "xaxis": axis, "yaxis": axis, "hovermode": "x unified", "uirevision": "constant", "dragmode": False,
        "hoverlabel": {"bgcolor": "#FFFFFF" if theme == "light" else "#22272E", "font": {"color": text}},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom",
                   "font": {"size": 12}},
    }
