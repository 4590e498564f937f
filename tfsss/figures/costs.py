"""Costs against patch size, each as a multiple of what one patch size costs, as an SVG drawing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

import numpy as np

from tfsss.figures.color import Theme, meaning
from tfsss.figures.lines import DASHES, palette_color
from tfsss.figures.plot import BOTTOM, LEFT, RIGHT, STROKES, TOP, drawing, line_map, number, path

GRID = (1, 2, 5)  # marked multiples in every power of ten
NEUTRAL = 3  # the first three colours of the set mean query, key and value


def cost_svg(sizes: np.ndarray, costs: Mapping[str, np.ndarray], *, here: tuple[int, Mapping[str, float]],
             here_name: str, x_title: str, y_title: str, theme: Theme = "light",
             size: tuple[int, int] = (560, 380)) -> str:
    """Curves on two logarithmic axes, where a power of the patch size is a straight line, and the present choice.

    Args:    sizes: (k,) patch sizes; costs: name -> (k,) multiples, above 0.
             here: the present patch size and name -> multiple of the present cut (whose patches may overlap), drawn as
             diamonds; a dotted upright line stands at the size.
    """
    present_size, present = here
    values = np.concatenate([*costs.values(), list(present.values())])
    ends = (math.log10(values.min()) - 0.15, math.log10(values.max()) + 0.15)
    top = TOP + 18 * (len(costs) + 1)
    area = (LEFT, top, size[0] - RIGHT, size[1] - BOTTOM)
    air = 0.03 * np.log10(sizes.max() / sizes.min()) + 0.01
    across = line_map((np.log10(sizes.min()) - air, np.log10(sizes.max()) + air), area[0], area[2])
    up = line_map(ends, area[3], area[1])
    parts = log_axes(sizes, ends, area, across, up, x_title, y_title, theme)
    text, here_x = meaning("text", theme), float(across(math.log10(present_size)))
    parts.append(f'<path d="M{here_x:.1f} {area[1]}V{area[3]}" stroke="{text}" stroke-dasharray="2 3"/>')
    for order, (name, multiples) in enumerate(costs.items()):
        color, dash = palette_color(order + NEUTRAL, theme), STROKES[DASHES[order % len(DASHES)]]
        y = TOP + 18 * order + 4
        line = f'fill="none" stroke="{color}" stroke-width="2" stroke-dasharray="{dash}"'
        parts += [f'<path d="{path(across(np.log10(sizes)), up(np.log10(multiples)))}" {line}/>',
                  f'<path d="M{LEFT} {y}h26" {line}/><text x="{LEFT + 32}" y="{y + 4}">{escape(name)}</text>',
                  diamond(here_x, float(up(math.log10(present[name]))), color, text)]
    y = TOP + 18 * len(costs) + 4
    return drawing([*parts, diamond(LEFT + 13, y, "none", text),
                    f'<text x="{LEFT + 32}" y="{y + 4}">{escape(here_name)}</text>'], size, theme)


def log_axes(sizes: np.ndarray, ends: tuple[float, float], area, across, up, x_title: str, y_title: str,
             theme: Theme) -> list[str]:
    """Grid lines, numbers and names: every patch size below, 1, 2 and 5 of each power of ten at the left."""
    left, top, right, bottom = area
    line, parts, last = meaning("line", theme), [], -math.inf
    for each in sizes.tolist():
        x = float(across(math.log10(each)))
        parts.append(f'<path d="M{x:.1f} {top}V{bottom}" stroke="{line}"/>')
        if x - last > 16:  # two figures have room
            parts.append(f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{each}</text>')
            last = x
    wide = ends[1] - ends[0] > 3.5
    for power in range(math.floor(ends[0]), math.ceil(ends[1]) + 1):
        for factor in GRID[:1] if wide else GRID:
            if ends[0] <= (at := power + math.log10(factor)) <= ends[1]:
                y = float(up(at))
                parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="{line}"/>'
                             f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{number(10.0**at)}</text>')
    middle = (top + bottom) / 2
    turned = f'transform="translate(13 {middle}) rotate(-90)" text-anchor="middle"'
    return [*parts, f'<text x="{(left + right) / 2}" y="{bottom + 34}" text-anchor="middle">{escape(x_title)}</text>'
                    f"<text {turned}>{escape(y_title)}</text>"]


def diamond(x: float, y: float, fill: str, stroke: str) -> str:
    """A mark of 12 pixels."""
    return f'<path d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z" fill="{fill}" stroke="{stroke}" stroke-width="1.5"/>'
