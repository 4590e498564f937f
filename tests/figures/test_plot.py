"""Curves as SVG: what is drawn can be read back from the paths."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from tfsss.figures.lines import Curve
from tfsss.figures.plot import number, plot_svg, ticks

NAME = "{http://www.w3.org/2000/svg}"


def lines(svg: str) -> list[list[tuple[float, float]]]:
    """Points of every curve, in pixels."""
    paths = [node for node in ElementTree.fromstring(svg).iter(f"{NAME}path") if node.get("stroke-linejoin")]
    return [[(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", node.get("d"))] for node in paths]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_curve_lies_where_its_numbers_are(theme):
    x = np.arange(5.0)
    plot = plot_svg([Curve(name="a<b", x=x, y=x**2), Curve(name="other", x=x, y=-x, spread=np.ones(5))], theme=theme,
                    x_title="distance & more", y_title="y", y_range=(-5, 20), mark=2)
    first, second = lines(plot.svg)
    left, right = plot.inside[0] * 560, plot.inside[1] * 560
    assert [at[0] for at in first] == pytest.approx(np.linspace(left, right, 5), abs=0.1)
    heights = [at[1] for at in first]
    assert (heights[1] - heights[2]) * 5 == pytest.approx((heights[2] - heights[3]) * 3, abs=1)  # 4-1 and 9-4
    assert second[0][1] == first[0][1] and second[-1][1] > first[-1][1]
    assert "a&lt;b" in plot.svg and plot.svg.count('fill-opacity="0.2"') == 1 and "4 3" in plot.svg


def test_gaps_and_flat_and_empty_curves_are_drawn_too():
    x = np.arange(4.0)
    gap = plot_svg([Curve(name="a", x=x, y=np.array([1, np.nan, 2, 3]))], x_title="x", y_title="y")
    assert len(lines(gap.svg)[0]) == 3 and "NaN" not in gap.svg and "nan" not in gap.svg
    for y in (np.ones(4), np.full(4, np.nan)):
        ElementTree.fromstring(plot_svg([Curve(name="a", x=x, y=y)], x_title="x", y_title="y").svg)
    ElementTree.fromstring(plot_svg([Curve(name="a", x=x[:1], y=x[:1])], x_title="x", y_title="y").svg)


def test_ticks_are_round_and_few():
    assert ticks(0, 10, most=5) == [0, 2, 4, 6, 8, 10]
    assert ticks(-1, 1, most=4) == [-1, -0.5, 0, 0.5, 1]
    assert [number(value) for value in ticks(-0.3, 0.1, most=4)] == ["−0.3", "−0.2", "−0.1", "0", "0.1"]
