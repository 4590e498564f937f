"""The one plotly spec: same layout whatever the data, typed arrays, both themes."""

from __future__ import annotations

import numpy as np

from tfsss.figures.lines import Curve, line_figure


def curves(seed: int) -> list[Curve]:
    random = np.random.default_rng(seed)
    steps = np.arange(11) / 10
    return [Curve(name=name, x=steps, y=random.random(11), spread=None if name == "rollout" else np.full(11, 0.1))
            for name in ("rollout", "chance")]


def test_only_the_data_changes():
    first, second = (line_figure(curves(seed), x_title="x", y_title="y").to_plotly_json() for seed in (0, 1))
    assert first["layout"] == second["layout"]
    assert not np.array_equal(first["data"][0]["y"], second["data"][0]["y"])


def test_the_band_is_the_curve_and_its_spread():
    figure = line_figure(curves(0), x_title="x", y_title="y")
    band, chance = figure.data[1], figure.data[2]
    assert np.allclose(band.y[:11], chance.y + 0.1) and np.allclose(band.y[11:], chance.y[::-1] - 0.1)
    assert not band.showlegend and band.legendgroup == "chance"


def test_lines_differ_by_more_than_colour_and_arrays_are_typed():
    figure = line_figure(curves(0), x_title="x", y_title="y", theme="dark")
    lines = [trace for trace in figure.data if trace.fill is None]
    assert len({trace.line.dash for trace in lines}) == len({trace.line.color for trace in lines}) == 2
    assert all(trace.y.dtype == np.float32 for trace in figure.data)


def test_themes_are_transparent_and_differ_in_ink():
    light, dark = (line_figure(curves(0), x_title="x", y_title="y", theme=theme).layout for theme in ("light", "dark"))
    assert light.paper_bgcolor == dark.paper_bgcolor == "rgba(0,0,0,0)"
    assert light.font.color != dark.font.color
