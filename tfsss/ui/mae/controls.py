"""The mask's controls, shared by the views that run the model."""

from __future__ import annotations

import numpy as np
import streamlit as st

from tfsss.errors import InputError
from tfsss.explain.mae import PATTERNS
from tfsss.figures.bitmap import from_bitmap, to_bitmap
from tfsss.ui import guard, state
from tfsss.ui.language import t
from tfsss.ui.mae.subject import Chosen, Subject

ROOM = "mae"
SEEDS = 9999
SHOWN = "_mae_shown"  # the mask that was shown before the visitor painted one


def mask_controls(subject: Subject) -> Chosen:
    """Pattern, then ratio and seed; of a painted mask the set itself instead."""
    pattern = state.choice(ROOM, "pattern", PATTERNS, help=t("mae.pattern.help"))
    if pattern == "painted":
        return Chosen(pattern=pattern, painted=painted_set(subject))
    chosen = Chosen(pattern=pattern, ratio=ratio_control(), seed=seed_control())
    st.session_state[SHOWN] = chosen
    return chosen


def ratio_control() -> float:
    """How much is removed; both ends are defined."""
    return state.slide(ROOM, "ratio", 0.0, 1.0, Chosen.ratio, step=0.05, help=t("mae.ratio.help"))


def seed_control() -> int:
    """What draws the noise."""
    return state.number(ROOM, "seed", 0, SEEDS, 0, help=t("mae.seed.help"))


def painted_set(subject: Subject) -> str:
    """The painted patches as text, with buttons that begin it; a mistyped set counts as empty.

    Until the visitor changes it, it is the mask that was shown.
    """
    shown = _text(subject, st.session_state.get(SHOWN, Chosen()))
    state.follow(ROOM, "painted", shown)
    st.session_state.setdefault("mae_painted", st.session_state[state.KEPT].get("mae_painted", shown))
    text = state.words(ROOM, "painted", _text(subject, Chosen()), help=t("mae.painted.help"),
                       max_chars=max(64, len(to_bitmap(np.ones(subject.grid, bool)))))
    st.button(t("mae.clear"), key="mae_clear", icon=":material/ink_eraser:", on_click=_paint, args=("",))
    st.button(t("mae.centre"), key="mae_centre", icon=":material/center_focus_weak:", on_click=_paint,
              args=(_centre(*subject.grid),))
    try:
        from_bitmap(text, subject.grid)
    except InputError as error:
        guard.say(error)
        return ""
    return text


def _text(subject: Subject, chosen: Chosen) -> str:
    """A mask as the address has it."""
    return to_bitmap(subject.guess(chosen)[0].mask)


def _paint(text: str) -> None:
    st.session_state["mae_painted"] = text


def _centre(rows: int, columns: int) -> str:
    """The middle half of both sides."""
    cells = np.zeros((rows, columns), bool)
    cells[rows // 4:rows - rows // 4, columns // 4:columns - columns // 4] = True
    return to_bitmap(cells)
