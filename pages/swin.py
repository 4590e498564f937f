"""How do windows talk?  A Swin's windows step by step, how far they carry, their biases, merging and what they save."""

import time

import streamlit as st

from tfsss.ui import frame, guard, state
from tfsss.ui.swin import bias_view, cost_view, merging_view, reach_view, steps_view, subject, taking
from tfsss.ui.swin.pieces import STYLE

VIEWS = {"steps": steps_view, "reach": reach_view, "bias": bias_view, "merging": merging_view, "cost": cost_view}


@st.fragment
def body() -> None:
    """Everything that a control changes; only this runs again when one is moved."""
    st.session_state["_started"] = time.perf_counter()
    shown = taken = offers = None
    with guard.guard():
        view = state.choice("swin", "view", list(VIEWS), hide_label=True)
        shown = subject.current()
        with st.container(key="stage"):
            taken = VIEWS[view].show(shown)
        offers = taking.offered(shown, taken)
    frame.look("swin")
    ran = taken is not None and taken.ran
    frame.foot(shown.loaded.entry if ran else None, taken.forward_ms if ran else None, offers)


frame.title("swin")
st.html(STYLE)
body()
