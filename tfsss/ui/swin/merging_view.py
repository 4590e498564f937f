"""Patch merging on numbers small enough to read: four neighbours in one row, normed, and halved by a matrix."""

from __future__ import annotations

import numpy as np
import streamlit as st

from tfsss.explain.arrays import arrays_of
from tfsss.explain.swin_parts import Merging, StageCosts, merging, stage_costs
from tfsss.figures.masked import named_sheet
from tfsss.figures.windows import matrix
from tfsss.ui import cache, lecture, state
from tfsss.ui.language import t
from tfsss.ui.swin.pieces import note, signed, table
from tfsss.ui.swin.subject import ROOM, Subject, Taken

IMPORTS = """from tfsss.explain.arrays import arrays_of
from tfsss.explain.swin_parts import merging, stage_costs
from tfsss.figures.masked import named_sheet
from tfsss.figures.windows import matrix"""
LINES = """made = merging(({rows}, {columns}), {channels}, seed={seed})
print("the 4C numbers of the chosen output:", made.fours[{row}, {column}])
print("behind the norm:", made.normed[{row}, {column}].round(3))
print("2C of them:", made.reduced[{row}, {column}].round(3))
whole = stage_costs(loaded.model.config, loaded.entry.input_size, loaded.entry.input_size)
print("MLP multiplications of each stage:", whole.mlp, "if merging kept all 4C:", whole.mlp_if_four)
maps = [("padded, channel 0", made.padded[..., 0]), ("4C of each output", made.fours.reshape(-1, made.fours.shape[2])),
        ("2C of each output", made.reduced.reshape(-1, made.reduced.shape[2]))]
png = named_sheet([[(name, matrix(values, vmax=float(abs(values).max()), zoom=24,
                                  scale="signed" if values.min() < 0 else "viridis")) for name, values in maps]])
arrays = arrays_of(made=made, whole=whole)
"""
MOST_SIDE, MOST_CHANNELS = 8, 3


def show(subject: Subject) -> Taken:
    """The view."""
    with st.container(key="controls"), st.container(key="swin_cut", horizontal=True, vertical_alignment="bottom"):
        rows = state.slide(ROOM, "merge_rows", 1, MOST_SIDE, 4)
        columns = state.slide(ROOM, "merge_columns", 1, MOST_SIDE, 4)
        channels = state.slide(ROOM, "channels", 1, MOST_CHANNELS, 1)
        outputs = -(-rows // 2) * -(-columns // 2)
        output = state.number(ROOM, "output", 0, outputs - 1, 0, help=t("swin.output.help", last=outputs - 1))
        seed = state.number(ROOM, "seed", 0, 9999, 0, help=t("swin.seed.help"))
    made = cache.computed(("swin_merging", rows, columns, channels, seed),
                          lambda: merging((rows, columns), channels, seed=seed))
    at = divmod(output, made.fours.shape[1])
    side = subject.loaded.entry.input_size
    whole = cache.computed(("swin_stages", subject.loaded.entry.id),
                           lambda: stage_costs(subject.loaded.model.config, side, side))
    with lecture.answer("swin.predict.merging"):
        left, right = st.columns([1, 1], gap="large")
        with left:
            st.html(note(t("swin.merge.map", rows=rows, columns=columns, c=channels)) + map_table(made, at))
            st.html(note(t("swin.merge.why")) + cost_table(whole))
        with right:
            st.html(chosen_words(made, at))
    lines = LINES.format(rows=rows, columns=columns, channels=channels, seed=seed, row=at[0], column=at[1])
    return Taken(png=lambda: sheet(made), arrays=lambda: arrays_of(made=made, whole=whole), imports=IMPORTS,
                 lines=lines, ran=False)


def map_table(made: Merging, at: tuple[int, int]) -> str:
    """The map, every number in the colour of its place in its 2 x 2; zeros of padding hatched."""
    gy, gx = made.tokens.shape[:2]
    rows = []
    for y, line in enumerate(made.padded):
        cells = []
        for x, values in enumerate(line):
            here = "here" if (y // 2, x // 2) == at else ""
            kind = "pad" if y >= gy or x >= gx else f"p{2 * (x % 2) + y % 2}"
            cells.append(f'<td class="{kind} {here}">{" ".join(map(str, values))}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div class="swin-scroll"><table class="swin-table numbers">{"".join(rows)}</table></div>'


def chosen_words(made: Merging, at: tuple[int, int]) -> str:
    """One output: 4C numbers in their order, normed, then 2C."""
    fours, normed, reduced = made.fours[at], made.normed[at], made.reduced[at]
    channels = len(fours) // 4
    kinds = [f"p{2 * q + p}" for p, q, _ in made.origin.tolist()]
    parts = [note(t("swin.merge.fours", row=at[0], column=at[1], c=channels, fours=len(fours))),
             line([str(value) for value in fours], kinds),
             note(t("swin.merge.order")),
             note(t("swin.merge.norm", mean=f"{fours.mean():.2f}", deviation=f"{fours.std():.2f}")),
             line([signed(value, ".2f") for value in normed], kinds),
             note(t("swin.merge.reduce", fours=len(fours), twos=len(reduced))),
             line([signed(value, ".2f") for value in reduced], [""] * len(reduced))]
    shape = made.tokens.shape, made.fours.shape, made.reduced.shape
    parts.append(f'<div class="tfsss-shape">{" → ".join(str((1, *each)) for each in shape)}</div>')
    return "".join(parts)


def line(values: list[str], kinds: list[str]) -> str:
    """Numbers beside each other."""
    cells = "".join(f'<td class="{kind}">{value}</td>' for value, kind in zip(values, kinds, strict=True))
    return f'<div class="swin-scroll"><table class="swin-table numbers"><tr>{cells}</tr></table></div>'


def cost_table(whole: StageCosts) -> str:
    """What the multiplications of each stage are with 2C, and would be with 4C."""
    rows = [(t("swin.merge.stage", stage=stage), f"{grid[0]} × {grid[1]}", str(dim), f"{mlp / 1e6:.1f}",
             f"{four / 1e6:.1f}") for stage, (grid, dim, mlp, four)
            in enumerate(zip(whole.grids.tolist(), whole.channels.tolist(), whole.mlp, whole.mlp_if_four))]
    return table(rows, head=[t(f"swin.merge.head.{name}") for name in ("stage", "grid", "c", "two", "four")])


def sheet(made: Merging) -> bytes:
    """The map, the rows of four, and what is left of them."""
    maps: list[tuple[str, np.ndarray]] = [
        ("padded, channel 0", made.padded[..., 0]), ("4C of each output", made.fours.reshape(-1, made.fours.shape[2])),
        ("2C of each output", made.reduced.reshape(-1, made.reduced.shape[2]))]
    return named_sheet([[(name, matrix(values, vmax=float(abs(values).max()), zoom=24,
                                       scale="signed" if values.min() < 0 else "viridis")) for name, values in maps]])
