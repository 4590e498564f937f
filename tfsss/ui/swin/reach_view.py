"""How far a token is heard: click one, and see who has heard of it after 1, 2, ... blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from tfsss.explain.arrays import arrays_of
from tfsss.explain.swin_reach import Reach, StageReach, reach, reach_in_model
from tfsss.figures.masked import named_sheet
from tfsss.figures.overlay import jpeg
from tfsss.figures.windows import reached
from tfsss.ui import cache, lecture, state
from tfsss.ui.canvas import canvas_text, pack_scene, patch_canvas
from tfsss.ui.language import language, t
from tfsss.ui.swin.controls import cut_controls
from tfsss.ui.swin.pieces import badges, figure, note, png, row
from tfsss.ui.swin.subject import ROOM, Cut, Subject, Taken

THROUGH = ("model", "blocks")
CANVAS, PANEL = 300, 168  # pixels
ACROSS = 6  # blocks in a row; of a deep model there are several rows
IMPORTS = """from tfsss.explain.arrays import arrays_of
from tfsss.explain.swin_reach import reach, reach_in_model
from tfsss.figures.masked import named_sheet
from tfsss.figures.windows import reached"""
LINES = """found = {call}
shown = fit(picture, {height}, {width})  # the same part of the picture
{flatten}
names = {names}
for name, one, other in zip(names, changed, by_masks):
    print(f"{{name}}: {{one.sum()}} of {{one.size}} tokens changed, the masks allow {{other.sum()}}")
png = named_sheet([[(name, reached(shown, one)) for name, one in zip(names, known)] for known in (changed, by_masks)],
                  side={side}, untrained={untrained})
arrays = arrays_of(found=found)
"""
FLATTEN = {"blocks": "changed, by_masks = found.changed, found.by_masks",
           "model": """changed = [one for stage in found for one in stage.changed]
by_masks = [one for stage in found for one in stage.by_masks]"""}


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """Who heard of the token after each block, whichever way it was computed; k blocks."""

    grid: tuple[int, int]  # of the canvas
    token: tuple[int, int]
    changed: list[np.ndarray]  # k of (gy, gx) boolean
    by_masks: list[np.ndarray]
    shifts: list[int]
    stages: list[int]
    made: Reach | tuple[StageReach, ...]
    forward_ms: float

    @property
    def names(self) -> list[str]:
        """In ASCII, for the sheet."""
        return [f"block {number + 1}, shift {shift}, {known.shape[0]} x {known.shape[1]}"
                for number, (shift, known) in enumerate(zip(self.shifts, self.changed))]


def show(subject: Subject) -> Taken:
    """The view."""
    with st.container(key="controls"):
        with st.container(key="swin_cut", horizontal=True, vertical_alignment="bottom"):
            through = state.choice(ROOM, "through", THROUGH, help=t("swin.through.help"))
            if through == "blocks":
                cut = cut_controls(subject)
                blocks = state.slide(ROOM, "blocks", 1, 6, 4)
            else:
                cut, blocks = Cut(grid=model_grid(subject), window=subject.window, shift=0), 0
            token = state.number(ROOM, "token", 0, cut.grid[0] * cut.grid[1] - 1, None, help=t("swin.token.help"))
    gy, gx = cut.grid
    pinned = gy // 2 * gx + gx // 2 if token is None else token
    with lecture.answer("swin.predict.reach"):
        left, right = st.columns([1, 2], gap="medium")
        with left:
            st.html(f'<div class="tfsss-evidence">{note(t("swin.reach.click"))}</div>')
            patch_canvas(canvas_scene(subject, cut.grid), key="swin_reach", text=canvas_text(language()),
                         pinned=pinned, pin_key=f"{ROOM}_token", width=CANVAS)
        found = find(subject, through, cut, blocks, divmod(pinned, gx))
        with right:
            st.html(panels(subject, through, found))
            st.html(note(verdict(found)))
    return taken(subject, through, cut, blocks, found)


def model_grid(subject: Subject) -> tuple[int, int]:
    """The model's first grid at its own picture size."""
    return (subject.loaded.entry.input_size // subject.patch,) * 2


def canvas_scene(subject: Subject, grid: tuple[int, int]) -> bytes:
    """The picture and its grid alone."""
    return cache.computed(("swin_reach_scene", subject.picture.digest, grid),
                          lambda: pack_scene(grid=grid, picture=jpeg(subject.shown(grid))))


def find(subject: Subject, through: str, cut: Cut, blocks: int, token: tuple[int, int]) -> Found:
    """Change the token, run everything again, compare."""
    if through == "blocks":
        made, ms = cache.computed_timed(("swin_reach", cut, blocks, token), lambda: reach(
            cut.grid, token, window=cut.window, shift=cut.shift, blocks=blocks, mask_padding=cut.mask_padding))
        return Found(grid=cut.grid, token=token, changed=list(made.changed), by_masks=list(made.by_masks),
                     shifts=list(made.shifts), stages=[0] * blocks, made=made, forward_ms=ms)
    made, ms = cache.computed_timed(("swin_reach_model", *subject.key, token),
                                    lambda: reach_in_model(subject.fed(cut.grid), subject.loaded, token))
    return Found(grid=cut.grid, token=token, changed=[one for stage in made for one in stage.changed],
                 by_masks=[one for stage in made for one in stage.by_masks],
                 shifts=[shift for stage in made for shift in stage.shifts],
                 stages=[stage.stage for stage in made for _ in stage.shifts], made=made, forward_ms=ms)


def panels(subject: Subject, through: str, found: Found) -> str:
    """Two rows: what changed, and what the masks allow; one column a block."""
    pixels = cache.fitted(subject.picture, *sides(found.grid))
    key = ("swin_reach_panels", *subject.key, through, found.grid, found.token, tuple(found.shifts),
           tuple(int(one.sum()) for one in (*found.changed, *found.by_masks)))

    def draw(known: np.ndarray) -> bytes:
        return png(reached(pixels, known, found.token if known.shape == found.grid else None))

    drawn = cache.computed(key, lambda: [[draw(known) for known in part] for part in (found.changed, found.by_masks)])
    marks = badges(subject.untrained) if through == "model" else [t("swin.random")]
    rows = []
    for kind, pictures, sets in zip(("changed", "by_masks"), drawn, (found.changed, found.by_masks)):
        cells = []
        for number, (picture, known) in enumerate(zip(pictures, sets)):
            words = {"block": number + 1, "count": int(known.sum()), "all": known.size, "rows": known.shape[0],
                     "columns": known.shape[1], "shift": found.shifts[number], "stage": found.stages[number]}
            title = t("swin.reach.block", **words) if kind == "changed" or len(sets) > ACROSS else ""
            cells.append(figure(picture, t(f"swin.reach.{kind}.alt", **words), title=title,
                                under=t("swin.reach.count", **words), badges=marks if kind == "changed" else []))
        rows.append(note(f"**{t(f'swin.reach.{kind}')}**") + row(cells, across=min(len(cells), ACROSS)))
    return "".join(rows)


def sides(grid: tuple[int, int]) -> tuple[int, int]:
    """Pixels of a small picture of this grid."""
    cell = max(4, PANEL // max(grid))
    return grid[0] * cell, grid[1] * cell


def verdict(found: Found) -> str:
    """Whether both ways agree, cell by cell."""
    same = sum(int((one == other).sum()) for one, other in zip(found.changed, found.by_masks))
    cells = sum(one.size for one in found.changed)
    only = sum(int((one & ~other).sum()) for one, other in zip(found.changed, found.by_masks))
    return t("swin.reach.agree" if same == cells else "swin.reach.differ", same=same, cells=cells, only=only,
             row=found.token[0], column=found.token[1])


def taken(subject: Subject, through: str, cut: Cut, blocks: int, found: Found) -> Taken:
    """The panels and the arrays."""
    height, width = sides(found.grid)
    pixels = cache.fitted(subject.picture, height, width)
    side = max(120, 900 // len(found.changed))
    untrained = through == "blocks" or subject.untrained
    call = f"reach_in_model(pixels, loaded, {found.token})"
    if through == "blocks":
        call = (f"reach({cut.grid}, {found.token}, window={cut.window}, shift={cut.shift}, blocks={blocks}, "
                f"mask_padding={cut.mask_padding})")
    lines = LINES.format(call=call, height=height, width=width, flatten=FLATTEN[through], names=found.names, side=side,
                         untrained=untrained)

    def sheet() -> bytes:
        return named_sheet([[(name, reached(pixels, known)) for name, known in zip(found.names, part)]
                            for part in (found.changed, found.by_masks)], side=side, untrained=untrained)

    return Taken(png=sheet, arrays=lambda: arrays_of(found=found.made), imports=IMPORTS, lines=lines,
                 forward_ms=found.forward_ms if through == "model" else None, ran=through == "model")
