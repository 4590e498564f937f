"""Which word does each word look at?  Attention between word pieces, pairs, padding, and two sentences compared."""

import time

import streamlit as st

from tfsss.ui import frame, guard, state
from tfsss.ui.masks import show
from tfsss.ui.text import attention_view, compare_view, padding_view, subject, taking

VIEWS = {"attention": attention_view.single, "pair": attention_view.paired, "padding": padding_view.show,
         "compare": compare_view.show}


@st.fragment
def body() -> None:
    """Everything that a control changes; only this runs again when one is moved."""
    st.session_state["_started"] = time.perf_counter()
    shown = taken = offers = None
    with guard.guard():
        view = state.choice("text", "view", list(VIEWS), hide_label=True)
        shown = subject.current()
        with st.container(key="stage"):
            taken = VIEWS[view](shown)
        offers = taking.offered(shown, taken)
    frame.look("text")
    frame.foot(shown.loaded.entry if taken else None, taken and taken.forward_ms, offers)


frame.title("text")
st.html(show.STYLE)
st.html(subject.STYLE)
place = st.container()
body()
subject.offer(place)
