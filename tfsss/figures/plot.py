"""Curves as an SVG drawing: small, painted at once, for figures that change with every move of a slider.

Plotly mounts its chart anew whenever the figure changes, about 100 ms each time; an SVG costs a few.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

import numpy as np

from tfsss.figures.color import Theme, meaning
from tfsss.figures.lines import DASHES, FONT, Curve, palette_color

STROKES = {"solid": "", "dash": "7 4", "dot": "2 3", "dashdot": "7 3 2 3", "longdash": "12 4",
           "longdashdot": "12 3 2 3"}
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 10, 42  # margins of the plot area, in pixels


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A drawing, and where its plot area lies, so that a page can lay something over it."""

    svg: str
    size: tuple[int, int]  # width, height in pixels
    x_range: tuple[float, float]
    inside: tuple[float, float]  # left and right end of the plot area, as shares of the width


def plot_svg(curves: list[Curve], *, x_title: str, y_title: str, theme: Theme = "light",
             size: tuple[int, int] = (560, 300), x_range: tuple[float, float] | None = None,
             y_range: tuple[float, float] | None = None, mark: float | None = None) -> Plot:
    """Curves over one pair of axes, with bands for their spread and a legend when there are two or more.

    Args:    curves: finite or NaN (a gap); x_title, y_title: with units; x_range, y_range: None = from the data;
             mark: an x at which a dashed upright line stands.
    """
    rows = len(curves) if len(curves) > 1 else 0
    top = TOP + 18 * rows
    area = (LEFT, top, size[0] - RIGHT, size[1] - BOTTOM)  # left, top, right, bottom
    x_range = x_range or span([curve.x for curve in curves])
    edges = [curve.y + side * (0 if curve.spread is None else curve.spread) for curve in curves for side in (-1, 1)]
    y_range = y_range or padded(span(edges))
    across, up = line_map(x_range, area[0], area[2]), line_map(y_range, area[3], area[1])
    parts = axes(area, across, up, x_range, y_range, x_title, y_title, theme)
    for order, curve in enumerate(curves):
        color = curve.color or palette_color(order, theme)
        if curve.spread is not None:
            parts.append(band_path(curve, color, across, up))
        dash = STROKES[DASHES[order % len(DASHES)]]
        parts.append(f'<path d="{path(across(curve.x), up(curve.y))}" fill="none" stroke="{color}" stroke-width="2" '
                     f'stroke-dasharray="{dash}" stroke-linejoin="round"/>')
        if rows:
            y = TOP + 18 * order + 4
            parts.append(f'<path d="M{LEFT} {y}h26" stroke="{color}" stroke-width="2" stroke-dasharray="{dash}"/>'
                         f'<text x="{LEFT + 32}" y="{y + 4}">{escape(curve.name)}</text>')
    if mark is not None:
        parts.append(f'<path d="M{across(mark):.1f} {area[1]}V{area[3]}" stroke="{meaning("text", theme)}" '
                     'stroke-dasharray="4 3"/>')
    return Plot(svg=drawing(parts, size, theme), size=size, x_range=x_range,
                inside=(area[0] / size[0], area[2] / size[0]))


def drawing(parts: list[str], size: tuple[int, int], theme: Theme) -> str:
    """The parts as one SVG document in the page's font."""
    width, height = size
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            f'font-family="{escape(FONT)}" font-size="12.5" fill="{meaning("text", theme)}">{"".join(parts)}</svg>')


def axes(area, across, up, x_range, y_range, x_title, y_title, theme: Theme) -> list[str]:
    """Grid lines, numbers and names of both axes."""
    left, top, right, bottom = area
    line, parts = meaning("line", theme), []
    for value in ticks(*x_range, most=max(3, int((right - left) / 70))):
        x = across(value)
        parts.append(f'<path d="M{x:.1f} {top}V{bottom}" stroke="{line}"/>'
                     f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{number(value)}</text>')
    for value in ticks(*y_range, most=max(2, int((bottom - top) / 40))):
        y = up(value)
        parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="{line}"/>'
                     f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{number(value)}</text>')
    middle = (top + bottom) / 2
    parts.append(f'<text x="{(left + right) / 2}" y="{bottom + 34}" text-anchor="middle">{escape(x_title)}</text>'
                 f'<text transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">{escape(y_title)}</text>')
    return parts


def band_path(curve: Curve, color: str, across, up) -> str:
    """The spread around a curve, as one closed outline."""
    x = across(np.concatenate([curve.x, curve.x[::-1]]))
    y = up(np.concatenate([curve.y + curve.spread, (curve.y - curve.spread)[::-1]]))
    return f'<path d="{path(x, y)}Z" fill="{color}" fill-opacity="0.2"/>'


def path(x: np.ndarray, y: np.ndarray) -> str:
    """Straight lines through the points; a point that is not finite interrupts them."""
    words, down = [], False
    for at_x, at_y in zip(x.tolist(), y.tolist(), strict=True):
        if math.isfinite(at_x) and math.isfinite(at_y):
            words.append(f"{'L' if down else 'M'}{at_x:.1f} {at_y:.1f}")
            down = True
        else:
            down = False
    return "".join(words)


def line_map(values: tuple[float, float], start: float, end: float):
    """Numbers to pixels: the range's low end at `start`, its high end at `end`."""
    return lambda value: start + (np.asarray(value, float) - values[0]) / (values[1] - values[0]) * (end - start)


def span(arrays: list[np.ndarray]) -> tuple[float, float]:
    """Smallest and largest finite number; never empty, never of no width."""
    numbers = np.concatenate([np.asarray(array, float).ravel() for array in arrays])
    numbers = numbers[np.isfinite(numbers)]
    low, high = (float(numbers.min()), float(numbers.max())) if len(numbers) else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def padded(ends: tuple[float, float]) -> tuple[float, float]:
    """A little air above and below."""
    air = 0.04 * (ends[1] - ends[0])
    return ends[0] - air, ends[1] + air


def ticks(low: float, high: float, *, most: int) -> list[float]:
    """At most so many round numbers between two ends: steps of 1, 2 or 5 times a power of ten."""
    least = (high - low) / most
    power = 10.0 ** math.floor(math.log10(least))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float) -> str:
    """As short as it can be, with a real minus sign."""
    return f"{value + 0.0:.6g}".replace("-", "−")
