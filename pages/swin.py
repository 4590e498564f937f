"""How do windows talk?  A Swin's windows step by step, how far they carry, their biases, merging and what they save."""

import streamlit as st

from tfsss.ui import frame, state
from tfsss.ui.foot import Foot, around
from tfsss.ui.swin import bias_view, cost_view, merging_view, reach_view, steps_view, subject, taking
from tfsss.ui.swin.pieces import STYLE

VIEWS = {"steps": steps_view, "reach": reach_view, "bias": bias_view, "merging": merging_view, "cost": cost_view}


@st.fragment
def body() -> None:
    """What another view changes."""
    around(stage, "swin", state.choice("swin", "view", list(VIEWS), hide_label=True))


@st.fragment(key="stage")
def stage(view: str, foot: Foot) -> None:
    """What a control changes."""
    with foot.drawing(), st.container(key="stage"):
        shown = subject.current()
        taken = VIEWS[view].show(shown)
        foot.ran(shown.loaded.entry if taken.ran else None, taken.forward_ms if taken.ran else None,
                 taking.offered(shown, taken))


frame.title("swin")
st.html(STYLE)
body()
