"""Controls that several views share: the token grid, the window, the shift."""

from __future__ import annotations

import streamlit as st

from tfsss.ui import state
from tfsss.ui.language import t
from tfsss.ui.swin.subject import ROOM, Cut

MOST_SIDE, MOST_WINDOW = 40, 12
SIDE, WINDOW = 14, 7


def cut_controls() -> Cut:
    """Rows, columns, window, shift, and folded what becomes of padding: the first controls of a row."""
    grid = (state.number(ROOM, "rows", 1, MOST_SIDE, SIDE, help=t("swin.rows.help")),
            state.number(ROOM, "columns", 1, MOST_SIDE, SIDE, help=t("swin.columns.help")))
    window = state.number(ROOM, "window", 1, MOST_WINDOW, WINDOW, help=t("swin.window.help"))
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
