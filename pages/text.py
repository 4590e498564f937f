"""Which word does each word look at?  Attention between word pieces, pairs, padding, and two sentences compared."""

import streamlit as st

from tfsss.ui import frame, state
from tfsss.ui.foot import Foot, around
from tfsss.ui.masks import show
from tfsss.ui.text import attention_view, compare_view, padding_view, subject, taking

VIEWS = {"attention": attention_view.single, "pair": attention_view.paired, "padding": padding_view.show,
         "compare": compare_view.show}


@st.fragment
def body() -> None:
    """What another view changes."""
    around(stage, "text", state.choice("text", "view", list(VIEWS), hide_label=True))


@st.fragment(key="stage")
def stage(view: str, foot: Foot) -> None:
    """What a control changes."""
    with foot.drawing(), st.container(key="stage"):
        shown = subject.current()
        taken = VIEWS[view](shown)
        foot.ran(shown.loaded.entry, taken.forward_ms, taking.offered(shown, taken))


frame.title("text")
st.html(show.STYLE)
st.html(subject.STYLE)
place = st.container()
body()
subject.offer(place)
