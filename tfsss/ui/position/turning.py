"""Rotary: a query and a key, turned pair by pair, and the score that only knows their distance."""

from __future__ import annotations

import numpy as np
import streamlit as st

from tfsss.explain.arrays import arrays_of
from tfsss.explain.rotary import RotaryPairs, rotary_pairs
from tfsss.figures.color import Theme, meaning
from tfsss.figures.maps import palette_png
from tfsss.figures.plot import drawing
from tfsss.ui import frame
from tfsss.ui.language import t
from tfsss.ui.position.biases import table
from tfsss.ui.position.chosen import Chosen
from tfsss.ui.position.show import Axis, Drawn, heat, number, say, svg_address
from tfsss.ui.position.sources import kept, script

LENGTH = 64  # positions of the matrix of scores
DIAL = 118  # pixels, one circle's square


def draw_pairs(chosen: Chosen) -> Drawn:
    """Dials of a few pairs, the score before and after both are moved on, and the matrix of all scores."""
    options = {"query_at": chosen.query_at, "key_at": chosen.key_at, "shift": chosen.shift, "length": LENGTH,
               "base": chosen.base, "pairing": chosen.pairing}
    result: RotaryPairs = kept(chosen, "rotary", lambda: rotary_pairs(chosen.width, **options))
    shown = tuple(dict.fromkeys(np.linspace(0, len(result.turns) - 1, 4).round().astype(int).tolist()))
    left, right = st.columns([1.3, 1], gap="medium")
    with left:
        dials(result, shown)
        st.html(scores_table(chosen, result, shown))
        say(t("position.rotary.equal", distance=number(result.query_at - result.key_at), shift=result.shift,
              score=f"{result.score:.4f}".replace("-", "−"),
              shifted=f"{result.shifted_score:.4f}".replace("-", "−")),
            score=f"{result.score:.5f}", shifted=f"{result.shifted_score:.5f}")
    with right:
        heat("scores", result.scores, down=Axis(name=t("position.query.at"), last=LENGTH - 1),
             across=Axis(name=t("position.key.at"), last=LENGTH - 1), size=(330, 330), unit=t("position.unit.score"))
        st.caption(t("position.rotary.diagonals", unequal=f"{result.unequal:.6f}",
                     span=number(float(np.ptp(result.scores)))))
    call = ", ".join(f"{name}={value!r}" for name, value in options.items())
    return Drawn(png=lambda: palette_png(result.scores, scale="signed", zoom=10),
                 arrays=lambda: arrays_of(rotary=result),
                 script=script(chosen, f"result = rotary_pairs({chosen.width}, {call})",
                               "print(result.score, result.shifted_score, result.unequal)",
                               'Path("position.png").write_bytes(palette_png(result.scores, scale="signed", zoom=10))'))


def dials(result: RotaryPairs, shown: tuple[int, ...]) -> None:
    """Each pair as a circle: where query and key pointed (thin) and where they point now (thick)."""
    theme = frame.theme()
    parts = [dial(result, pair, order * DIAL + DIAL / 2, theme) for order, pair in enumerate(shown)]
    svg = drawing(parts, (DIAL * len(shown), DIAL + 22), theme)
    alt = t("position.rotary.alt", query=result.query_at, key=result.key_at,
            angles="; ".join(f"{pair}: {degrees(result.turns[pair] * result.query_at)}, "
                             f"{degrees(result.turns[pair] * result.key_at)}" for pair in shown))
    st.html(f'<div class="tfsss-plot"><img alt="{alt}" decoding="sync" src="{svg_address(svg)}"></div>')
    st.caption(t("position.rotary.dials"))


def dial(result: RotaryPairs, pair: int, x: float, theme: Theme) -> str:
    """One circle; its longer vector reaches the rim."""
    y, radius = DIAL / 2, DIAL / 2 - 6
    largest = max(float(np.linalg.norm(part[pair])) for part in (result.query, result.key))
    words = [f'<circle cx="{x}" cy="{y}" r="{radius}" fill="none" stroke="{meaning("line", theme)}"/>']
    for role, before, now in (("query", result.query, result.query_turned), ("key", result.key, result.key_turned)):
        for vector, width, dash in ((before[pair], 1.2, "3 3"), (now[pair], 3, "")):
            end = x + vector[0] / largest * radius, y - vector[1] / largest * radius
            words.append(f'<path d="M{x} {y}L{end[0]:.1f} {end[1]:.1f}" stroke="{meaning(role, theme)}" '
                         f'stroke-width="{width}" stroke-dasharray="{dash}" stroke-linecap="round"/>')
    words.append(f'<text x="{x}" y="{DIAL + 14}" text-anchor="middle">{t("position.rotary.pair", pair=pair)}</text>')
    return "".join(words)


def scores_table(chosen: Chosen, result: RotaryPairs, shown: tuple[int, ...]) -> str:
    """For the shown pairs: angles, and each pair's part of the score; then the sum over all pairs."""
    head = "".join(f"<th>{t(f'position.rotary.{name}')}</th>" for name in ("turn", "query", "key", "between", "part"))
    rows = [f"<th></th>{head}"]
    for pair in shown:
        turn = float(result.turns[pair])
        cells = [f"{turn:.3g}", f'<span class="query">{degrees(turn * result.query_at)}</span>',
                 f'<span class="key">{degrees(turn * result.key_at)}</span>',
                 degrees(turn * (result.query_at - result.key_at)), number(float(result.products[pair]))]
        rows.append(f'<th>{t("position.rotary.pair", pair=pair)}</th>' + "".join(f"<td>{cell}</td>" for cell in cells))
    rows.append(f'<th class="left" colspan="5">{t("position.rotary.sum", pairs=len(result.turns))}</th>'
                f"<td><b>{number(result.score)}</b></td>")
    return table(rows)


def degrees(angle: float) -> str:
    """An angle within a turn either way."""
    return f"{np.degrees(angle) % 360 if angle >= 0 else -(np.degrees(-angle) % 360):.1f}°".replace("-", "−")
