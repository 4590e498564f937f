"""Ratio x seed: how much depends on how much is removed, and how much on which patches."""

from __future__ import annotations

from html import escape

import numpy as np
import streamlit as st

from tfsss.explain.mae import RatioGrid, ratio_grid
from tfsss.figures.lines import Curve
from tfsss.figures.masked import hatched, named_sheet, small_jpeg, small_png
from tfsss.figures.plot import plot_svg
from tfsss.ui import cache, frame, lecture, state
from tfsss.ui.language import language, t
from tfsss.ui.mae.controls import ROOM, seed_control
from tfsss.ui.mae.panels import address, error, note, untrained_badge
from tfsss.ui.mae.subject import Subject, Taken
from tfsss.ui.mae.taking import GRID_IMPORTS, GRID_LINES
from tfsss.ui.mae.waiting import one_by_one

RATIOS, SEEDS = (0.25, 0.5, 0.75, 0.9), 4


def show(subject: Subject) -> Taken | None:
    """The view."""
    with st.container(key="controls", horizontal=True, vertical_alignment="bottom"):
        pattern = state.choice(ROOM, "grid_pattern", ("random", "block", "grid"))
        shown = state.choice(ROOM, "grid_show", ("pasted", "raw", "masked"))
        first = seed_control()
    seeds = tuple(range(first, first + SEEDS))
    with lecture.answer("mae.predict.grid"):
        rows = rows_of(subject, pattern, seeds)
        if rows is None:
            return None
        made = [row for row, _ in rows]
        pictures, curve = st.columns([2, 1], gap="medium")
        with pictures:
            html = cache.computed(("mae_grid_html", *subject.key, pattern, seeds, shown, language()),
                                  lambda: table(subject, made, shown))
            st.html(html)
        with curve:
            draw_curve(made)
    lines = GRID_LINES.format(ratios=RATIOS, seeds=seeds, pattern=pattern, show=shown)
    return Taken(png=lambda: png(made, shown), arrays=lambda: arrays(made), imports=GRID_IMPORTS, lines=lines,
                 forward_ms=sum(took for _, took in rows))


def rows_of(subject: Subject, pattern: str, seeds: tuple[int, ...]) -> list[tuple[RatioGrid, float]] | None:
    """A row for each ratio with its milliseconds, each kept; None when the visitor stopped it."""
    key = ("mae_grid", *subject.key, pattern, seeds)
    return one_by_one(RATIOS, lambda ratio: cache.computed_timed(
        (*key, ratio), lambda: ratio_grid(subject.pixels, subject.loaded, (ratio,), seeds, pattern=pattern)),
        key=key, words="mae.grid")


def pictures_of(row: RatioGrid, shown: str) -> list[np.ndarray]:
    """One row's pictures."""
    if shown == "masked":
        return [hatched(pixels, mask) for pixels, mask in zip(row.masked[0], row.masks[0])]
    return list(getattr(row, shown)[0])


def table(subject: Subject, made: list[RatioGrid], shown: str) -> str:
    """Ratios down, seeds across, each picture with its loss."""
    badge = "".join(f'<span class="mae-untrained">{escape(words)}</span>' for words in
                    untrained_badge(subject.untrained and shown != "masked"))
    head = "".join(f'<div class="cell">{escape(t("mae.grid.seed", seed=seed))}</div>' for seed in made[0].seeds)
    parts = [f'<div class="cell">{badge}</div>{head}']
    for row in made:
        kept, cells = int((~row.masks[0, 0]).sum()), row.masks[0, 0].size
        parts.append(f'<div class="cell"><b>{row.ratios[0]:.0%}</b><br>'
                     f'{escape(t("mae.grid.kept", kept=kept, cells=cells))}</div>')
        for seed, pixels, loss in zip(row.seeds, pictures_of(row, shown), row.loss_masked[0]):
            data = small_png(pixels) if shown == "masked" else small_jpeg(pixels)
            words = t("mae.grid.alt", ratio=f"{row.ratios[0]:.0%}", seed=seed, loss=error(loss))
            parts.append(f'<div class="under"><img alt="{escape(words)}" decoding="sync" src="{address(data)}">'
                         f'<div class="cell">{error(loss)}</div></div>')
    return f'<div class="mae-rows">{"".join(parts)}</div>'


def draw_curve(made: list[RatioGrid]) -> None:
    """The mean over the seeds, and their spread."""
    percent = np.array([row.ratios[0] for row in made]) * 100
    losses = np.stack([row.loss_masked[0] for row in made])  # r s
    mean, spread = losses.mean(axis=1), losses.std(axis=1)
    curve = Curve(name=t("mae.grid.curve"), x=percent, y=mean, spread=spread, color="#D55E00")
    plot = plot_svg([curve], x_title=t("mae.grid.x"), y_title=t("mae.grid.y"), theme=frame.theme(), size=(310, 280),
                    x_range=(0, 100), y_range=(0.0, float((mean + spread).max()) * 1.08))
    words = [f"{ratio:.0f} %: {middle:.3f} ± {half:.3f}" for ratio, middle, half in zip(percent, mean, spread)]
    alt = f'{t("mae.grid.curve")}. {"; ".join(words)}'
    st.html(f'<img class="mae-curve" alt="{escape(alt)}" decoding="sync" src="{address(plot.svg.encode())}">')
    st.html("".join(map(note, [*words, t("mae.grid.spread", seeds=SEEDS)])))


def png(made: list[RatioGrid], shown: str) -> bytes:
    """The grid with its ratios, seeds and losses."""
    return named_sheet([[(f"{row.ratios[0]:.0%}, seed {seed}: {loss:.3f}", picture)
                         for seed, loss, picture in zip(row.seeds, row.loss_masked[0], pictures_of(row, shown))]
                        for row in made], side=140, untrained=made[0].weights == "random")


def arrays(made: list[RatioGrid]) -> dict[str, np.ndarray]:
    """The whole grid: ratios down, seeds across."""
    names = ("masked", "raw", "pasted", "masks", "loss_masked")
    return {name: np.concatenate([getattr(row, name) for row in made]) for name in names} | {
        "ratios": np.array(RATIOS), "seeds": np.array(made[0].seeds)}
