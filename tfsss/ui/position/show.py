"""How the Position page shows arrays: heat maps that answer the pointer, curves, and what can be taken away."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import streamlit as st

from tfsss.figures.lines import Curve
from tfsss.figures.plot import Plot, plot_svg
from tfsss.ui import frame
from tfsss.ui.canvas import Panel, canvas_text, pack_scene, patch_canvas
from tfsss.ui.language import language, sentences, t

MOST_STRIPS = 64  # of one plot: Streamlit cleans HTML node by node
MOST_CELLS = 120_000  # of one heat map: as many bytes travel to the browser
STYLE = Path(__file__).with_name("style.css")


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What a view hands back: what its downloads hold."""

    png: Callable[[], bytes]
    arrays: Callable[[], dict[str, np.ndarray]]
    script: str


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A heat map's side: its name, its first and last number, and where a dashed line crosses it."""

    name: str
    last: int
    first: int = 0
    mark: float | None = None  # share of the side


def number(value: float) -> str:
    """Three figures, a real minus sign; what is nothing but rounding is 0."""
    value = 0.0 if abs(value) < 5e-7 else value
    return f"{value + 0.0:.3g}".replace("-", "−")


def thinned(positions: int, grid: tuple[int, int] | None, most: int) -> np.ndarray:
    """Which positions are drawn so that they are at most `most`: every second, third, ... (of a grid, both ways)."""
    step = 1
    while True:
        if grid is None:
            kept = np.arange(0, positions, step)
        else:
            kept = np.add.outer(np.arange(0, grid[0], step) * grid[1], np.arange(0, grid[1], step)).ravel()
        if len(kept) <= most:
            return kept
        step += 1


def thin_note(positions: int, grid: tuple[int, int] | None, kept: np.ndarray) -> str:
    """A sentence when not all are drawn; "" when they are."""
    return t("position.thinned", drawn=len(kept), positions=positions) if len(kept) < positions else ""


def heat(name: str, values: np.ndarray | Sequence[np.ndarray], *, down: Axis, across: Axis, size: tuple[int, int],
         vmax: float | None = None, unit: str = "", blocked: str = "", titles: Sequence[str] = (), columns: int = 4,
         whole: bool = True) -> None:
    """One heat map with its axes, or several on one scale, on a canvas that reads its numbers to the pointer.

    Args:    name: of the canvas on this page; values: (rows, columns) each, NaN = hatched; size: width and height in
             pixels of each; vmax: None = the largest; blocked: what a hatched cell is called; whole: all positions
             are drawn, so that a row's number is a position's.
    """
    maps = [np.asarray(part, np.float32) for part in ([values] if isinstance(values, np.ndarray) else values)]
    rows, across_count = maps[0].shape
    known = np.concatenate([part[np.isfinite(part)] for part in maps])
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    vmax = vmax or max(abs(low), abs(high)) or 1.0
    panels = tuple(Panel(values=part.ravel(), allowed=np.isfinite(part).ravel() if np.isnan(part).any() else None)
                   for part in maps)
    ratio = size[1] / size[0]
    scene = pack_scene(grid=(rows, across_count), panels=panels, scale="signed", vmax=vmax, shape=size)
    names = {"down": down.name, "across": across.name, "low": number(low), "high": number(high)}
    words = canvas_text(language()) | {part: _template(f"heat.{part}", names) for part in (
        "label", "patch", "strongest", "hint_choose")}
    words["cell"] = _template("heat.cell" if whole else "heat.cell_thinned", names)
    words["blocked"] = blocked or words["blocked"]
    with st.container(key=f"heat_{name}", gap=None):
        st.html(_axes(down, across, size[0], ratio, len(maps)))
        patch_canvas(scene, key=f"position_{name}", text=words, unit=unit, titles=titles, strength=1.0, width=size[0],
                     grid=size[0] / across_count >= 18 and size[1] / rows >= 18, columns=columns)


def _template(name: str, known: dict[str, str]) -> str:
    """A sentence whose remaining fields the canvas fills in."""
    text = sentences(language(), "position")[name]
    for field, value in known.items():
        text = text.replace(f"{{{field}}}", value)
    return text


def _axes(down: Axis, across: Axis, width: int, ratio: float, maps: int) -> str:
    """The names and ends of both sides; of several maps the names only."""
    if maps > 1:
        sides = (f"<b>{escape(axis.name)}</b> {arrow} {number(axis.first)} … {number(axis.last)}"
                 for axis, arrow in ((down, "↓"), (across, "→")))
        return f'<div class="tfsss-axes" style="--w:100%">{"&emsp;".join(sides)}</div>'
    marks = "".join(f'<i class="{side}" style="--at:{axis.mark}"></i>'
                    for side, axis in (("row", down), ("column", across)) if axis.mark is not None)
    named = (("across", across, f"{escape(across.name)} →"), ("down", down, f"← {escape(down.name)}"))
    sides = "".join(f'<div class="{side}"><span>{axis.first}</span><b>{name}</b><span>{axis.last}</span></div>'
                    for side, axis, name in named)
    return f'<div class="tfsss-axes" style="--w:{width}px;--ratio:{ratio}">{sides}{marks}</div>'


def curves(lines: list[Curve], *, x_title: str, y_title: str, alt: str, say: Callable[[int], str] | None = None,
           size: tuple[int, int] = (560, 300), y_range: tuple[float, float] | None = None,
           x_range: tuple[float, float] | None = None, mark: float | None = None) -> None:
    """Curves as one drawing; `say(i)` is what the pointer reads at the first curve's i-th point."""
    plot = plot_svg(lines, x_title=x_title, y_title=y_title, theme=frame.theme(), size=size, x_range=x_range,
                    y_range=y_range, mark=mark)
    strips = _strips(plot, lines[0].x, say) if say else ""
    st.html(f'<div class="tfsss-plot"><img alt="{escape(alt)}" decoding="sync" '
            f'src="{svg_address(plot.svg)}">{strips}</div>')


def say(text: str, **data: object) -> None:
    """Words under a picture: **bold** and `code` as in Markdown; `data` as attributes, for whoever reads the page."""
    text = re.sub(r"`(.+?)`", r"<code>\1</code>", re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text))
    attributes = "".join(f' data-{name}="{escape(str(value))}"' for name, value in data.items())
    st.html(f'<div class="tfsss-say"{attributes}>{text}</div>')


def picture(png: bytes, *, width: int, alt: str) -> None:
    """A PNG of few pixels, enlarged without smoothing and without being encoded again."""
    st.html(f'<img class="tfsss-sharp" style="width:{width}px" alt="{escape(alt)}" decoding="sync" '
            f'src="data:image/png;base64,{b64encode(png).decode()}">')


def svg_address(svg: str) -> str:
    """The drawing as an image's address."""
    return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"


def _strips(plot: Plot, x: np.ndarray, say: Callable[[int], str]) -> str:
    """Transparent upright strips over the plot, one a point, each with its words."""
    step = -(-len(x) // MOST_STRIPS)
    kept = np.arange(0, len(x), step)
    low, high = plot.x_range
    places = plot.inside[0] + (x[kept] - low) / (high - low) * (plot.inside[1] - plot.inside[0])
    edges = np.concatenate([[plot.inside[0]], (places[1:] + places[:-1]) / 2, [plot.inside[1]]])
    return "".join(
        f'<span class="at{" late" if place > 0.5 else ""}" style="left:{left:.2%};width:{right - left:.2%}" '
        f'data-say="{escape(say(int(index)))}"></span>'
        for index, place, left, right in zip(kept, places, edges, edges[1:]))
