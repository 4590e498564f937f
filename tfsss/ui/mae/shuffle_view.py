"""The shuffle: every patch moves from where it was to where it goes, on numbers small enough to read."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import streamlit as st

from tfsss.explain.mae_shuffle import MASK_TOKEN, ShuffleSteps, shuffle_steps
from tfsss.figures.masked import named_sheet
from tfsss.ui import cache, lecture, state
from tfsss.ui.language import language, t
from tfsss.ui.mae.controls import ROOM, seed_control
from tfsss.ui.mae.panels import note
from tfsss.ui.mae.shuffle_scene import STEPS, picture_of, scene, sheet
from tfsss.ui.mae.subject import Subject, Taken
from tfsss.ui.mae.taking import SHUFFLE_IMPORTS, SHUFFLE_LINES
from tfsss.ui.motion import motion

GRIDS = {"2x4": (2, 4), "3x3": (3, 3)}
WIDTH = 520
# Row of the table -> what made it, and the step at which it comes about; later ones stay pale until then.
ROWS = {"noise": ("noise", 1), "ids_shuffle": ("ids_shuffle", 2), "shuffled_noise": ("noise[ids_shuffle]", 2),
        "ids_keep": ("ids_keep", 3), "appended": ("appended", 4), "ids_restore": ("ids_restore", 5),
        "restored": ("appended[ids_restore]", 5), "mask": ("ids_restore >= k", 5),
        "round_trip": ("ids_shuffle[ids_restore]", 5), "wrong": ("appended[ids_shuffle]", 6)}


def show(subject: Subject) -> Taken:
    """The view."""
    with st.container(key="controls", horizontal=True, vertical_alignment="bottom"):
        grid = GRIDS[state.choice(ROOM, "cells", list(GRIDS))]
        count = grid[0] * grid[1]
        keep = state.slide(ROOM, "keep", 0, count, 2, help=t("mae.keep.help"))
        seed = seed_control()
    number = step_control()
    steps = cache.computed(("mae_shuffle", grid, keep, seed), lambda: shuffle_steps(grid, keep, seed=seed))
    question = f"mae.predict.shuffle.{STEPS[number]}"
    with lecture.answer(question):
        st.markdown(step_words(steps, number))
        stage, table = st.columns(2, gap="medium")
        with stage:
            packed = cache.computed(("mae_shuffle_scene", subject.picture.digest, grid, keep, seed, language()),
                                    lambda: scene(steps, picture_of(subject.picture, grid)))
            motion(packed, lecture.step_shown(number, question), key="mae_motion", width=WIDTH)
        with table:
            st.html(ids_table(steps, number))
            st.html(note(t("mae.shuffle.inverse", **inverse_words(steps))))
    lines = SHUFFLE_LINES.format(grid=grid, keep=keep, seed=seed)
    return Taken(png=lambda: named_sheet(sheet(steps, picture_of(subject.picture, grid)), side=320),
                 arrays=lambda: arrays(steps), imports=SHUFFLE_IMPORTS, lines=lines, ran=False)


def step_control() -> int:
    """Which step is shown: chosen by name, or one further or back."""
    names, buttons = st.columns([5, 2], vertical_alignment="center")
    with names:
        number = STEPS.index(state.choice(ROOM, "step", STEPS, hide_label=True))
    with buttons.container(horizontal=True):
        for name, icon, by in (("back", "arrow_back", -1), ("forward", "arrow_forward", 1)):
            st.button(t(f"mae.{name}"), key=f"mae_{name}", icon=f":material/{icon}:", on_click=_go, args=(number + by,),
                      disabled=not 0 <= number + by < len(STEPS))
    return number


def _go(number: int) -> None:
    st.session_state["mae_step"] = STEPS[number]


def step_words(steps: ShuffleSteps, number: int) -> str:
    """What happens in this step, in these numbers."""
    first, kept = int(steps.ids_shuffle[0]), len(steps.ids_keep)
    removed = len(steps.noise) - kept
    return t(f"mae.step.{STEPS[number]}.words", count=len(steps.noise), kept=kept, removed=removed, first=first,
             least=f"{steps.noise[first]:.2f}", ids=listed(steps.ids_keep), place=int(steps.ids_restore[0]),
             right=int((steps.wrong == steps.restored).sum()))


def inverse_words(steps: ShuffleSteps) -> dict[str, int]:
    """One patch as an example: the last that has moved."""
    moved = np.flatnonzero(steps.ids_restore != np.arange(len(steps.noise)))
    patch = int(moved[-1]) if len(moved) else 0
    return {"patch": patch, "place": int(steps.ids_restore[patch])}


def listed(numbers: np.ndarray) -> str:
    """Patch numbers as a list."""
    return "[" + ", ".join(map(str, numbers.tolist())) + "]"


def ids_table(steps: ShuffleSteps, number: int) -> str:
    """Every array of the shuffle, place by place; those of this step are marked, later ones pale."""
    count = len(steps.noise)
    top = "".join(f"<td>{place}</td>" for place in range(count))
    rows = [f'<thead><tr><th>{escape(t("mae.shuffle.place"))}</th>{top}</tr></thead>']
    for name, (made_by, made_at) in ROWS.items():
        values = getattr(steps, name)
        style = "now" if made_at == number else "later" if made_at > number else ""
        made = f'<th scope="row"><code>{escape(made_by)}</code></th>{cells(values, count)}'
        rows.append(f'<tr class="{style}">{made}</tr>')
    return f'<div class="mae-scroll"><table class="mae-table mae-ids">{"".join(rows)}</table></div>'


def cells(values: np.ndarray, count: int) -> str:
    """One row's cells; mask tokens are hatched, and a short row ends early."""
    texts: Sequence[str] = [f"{value:.2f}"[1:] if values.dtype.kind == "f" else str(int(value))
                            for value in values.tolist()]
    made = "".join('<td class="mask">M</td>' if values.dtype.kind == "i" and value == MASK_TOKEN else f"<td>{text}</td>"
                   for value, text in zip(values.tolist(), texts))
    return made + "<td></td>" * (count - len(values))


def arrays(steps: ShuffleSteps) -> dict[str, np.ndarray]:
    """Everything in the table."""
    return {name: getattr(steps, name) for name in (*ROWS, "kept")} | {"grid": np.array(steps.grid)}
