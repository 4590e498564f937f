"""Controls that several views share: the token grid, the window, the shift."""

from __future__ import annotations

import streamlit as st

from tfsss.ui import state
from tfsss.ui.language import t
from tfsss.ui.swin.subject import ROOM, Cut, Subject

MOST_SIDE, MOST_WINDOW = 40, 12  # larger windows are for weights that know no other, up to half the sides


def cut_controls(subject: Subject) -> Cut:
    """Rows, columns, window, shift, and folded what becomes of padding: the first controls of a row.

    At first two windows of the weights' own size beside each other, both ways.
    """
    own = min(subject.window, MOST_SIDE // 2)
    for name, default in (("rows", 2 * own), ("columns", 2 * own), ("window", own)):
        state.follow(ROOM, name, default)
    grid = (state.number(ROOM, "rows", 1, MOST_SIDE, 2 * own, help=t("swin.rows.help")),
            state.number(ROOM, "columns", 1, MOST_SIDE, 2 * own, help=t("swin.columns.help")))
    window = state.number(ROOM, "window", 1, max(own, MOST_WINDOW), own, help=t("swin.window.help"))
    state.follow(ROOM, "shift", window // 2)
    shift = state.number(ROOM, "shift", 0, window - 1, window // 2, help=t("swin.shift.help"))
    mask_padding = state.switch(ROOM, "mask_padding", help=t("swin.mask_padding.help"))
    return Cut(grid=grid, window=window, shift=shift, mask_padding=mask_padding)


def steps_row(steps: tuple[str, ...]) -> int:
    """Which step is shown: chosen by name, or one further or back."""
    with st.container(key="swin_steps", horizontal=True, vertical_alignment="bottom", gap="small"):
        step = state.choice(ROOM, "step", steps, hide_label=True)
        number = steps.index(step)
        for name, icon, by in (("back", "arrow_back", -1), ("forward", "arrow_forward", 1)):
            known = 0 <= number + by < len(steps)
            st.button(t(f"swin.{name}"), key=f"swin_{name}", icon=f":material/{icon}:", disabled=not known,
                      on_click=_go, args=(steps[number + by] if known else step,))
    return number


def _go(step: str) -> None:
    st.session_state[f"{ROOM}_step"] = step
