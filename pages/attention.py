"""What did it look at?"""

import time

import streamlit as st

from tfsss.ui import frame, guard, state, waiting
from tfsss.ui.attention import distances, heads, measured, methods, subject, taking, tokens

VIEWS = {"heads": heads, "methods": methods, "faithfulness": measured, "distances": distances, "tokens": tokens}


@st.fragment
def body() -> None:
    """Everything that a control changes; only this runs again when one is moved."""
    st.session_state["_started"] = time.perf_counter()
    with guard.guard():
        view = state.choice("attention", "view", list(VIEWS), hide_label=True)
        shown = subject.current()
        with st.container(key=f"attention_view_{view}"):
            taken = VIEWS[view].show(shown)
        frame.look("attention")
        frame.foot(shown.loaded.entry, shown.forward_ms, taking.offered(shown, taken))


frame.title("attention")
place = st.empty()
body()
waiting.run_asked(place)
