"""Who may look at whom?  Attention by numbers, masks in every convention, blocked rows, leaks, and the loss."""

import time

import streamlit as st

from tfsss.ui import chooser, downloads, frame, guard
from tfsss.ui.masks import batch_view, leak_view, loss_view, sentence_view, show, taking
from tfsss.ui.language import t
from tfsss.ui.state import choice

VIEWS = {"masks": batch_view.sandbox, "blocked": batch_view.blocked, "leak": leak_view.view, "loss": loss_view.view}


@st.fragment
def body() -> None:
    """Everything that a control changes; only this runs again when one is moved."""
    st.session_state["_started"] = time.perf_counter()
    given = taken = None
    with guard.guard():
        view = choice("masks", "view", ["attention", *VIEWS], hide_label=True)
        with st.container(key="stage", gap="xsmall"):  # on a phone the picture comes before what changes it
            if view == "attention":
                taken = sentence_view.view()
            else:
                given, taken = VIEWS[view]()
    if given is None and taken:
        st.caption(t("masks.drawn"))
    frame.look("masks")
    frame.foot(given and given.loaded.entry, given and given.run_ms(), taken and downloads.downloads(
        "masks", png=taking.png(taken), arrays=taken.arrays, script=taking.script(taken)))


frame.title("masks")
st.html(show.STYLE)
place = st.container()
body()
chooser.fetch_asked(place)
