"""How much of a picture can be guessed?  What a masked autoencoder sees, makes up, and how its tokens move."""

import time

import streamlit as st

from tfsss.ui import frame, guard, state, waiting
from tfsss.ui.mae import cost_view, grid_view, guess_view, shuffle_view, subject, taking, targets_view
from tfsss.ui.mae.panels import STYLE

VIEWS = {"guess": guess_view, "shuffle": shuffle_view, "targets": targets_view, "grid": grid_view, "cost": cost_view}


@st.fragment
def body() -> None:
    """Everything that a control changes; only this runs again when one is moved."""
    st.session_state["_started"] = time.perf_counter()
    shown = taken = offers = None
    with guard.guard():
        view = state.choice("mae", "view", list(VIEWS), hide_label=True)
        shown = subject.current()
        with st.container(key="stage"):
            taken = VIEWS[view].show(shown)
        offers = taken and taking.offered(shown, taken)
    frame.look("mae")
    ran = taken is not None and taken.ran
    frame.foot(shown.loaded.entry if ran else None, taken.forward_ms if ran else None, offers)


frame.title("mae")
st.html(STYLE)
place = st.empty()
body()
waiting.run_asked(place)
