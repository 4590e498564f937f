"""Who may look at whom?  Attention by numbers, masks in every convention, blocked rows, leaks, and the loss."""

import streamlit as st

from tfsss.ui import chooser, downloads, frame
from tfsss.ui.foot import Foot, around
from tfsss.ui.language import t
from tfsss.ui.masks import batch_view, leak_view, loss_view, sentence_view, show, taking
from tfsss.ui.state import choice

VIEWS = {"masks": batch_view.sandbox, "blocked": batch_view.blocked, "leak": leak_view.view, "loss": loss_view.view}


@st.fragment
def body() -> None:
    """What another view changes."""
    around(stage, "masks", choice("masks", "view", ["attention", *VIEWS], hide_label=True))


@st.fragment(key="stage")
def stage(view: str, foot: Foot) -> None:
    """What a control changes."""
    with foot.drawing(), st.container(key="stage", gap="xsmall"):  # on a phone the picture comes before what changes it
        given, taken = (None, sentence_view.view()) if view == "attention" else VIEWS[view]()
        if taken is None:  # MiniLM is asked for, and not here
            return
        if given is None:
            st.caption(t("masks.drawn"))
        offers = downloads.downloads("masks", png=taking.png(taken), arrays=taken.arrays, script=taking.script(taken))
        foot.ran(given and given.loaded.entry, given and given.run_ms(), offers)


frame.title("masks")
st.html(show.STYLE)
place = st.container()
body()
chooser.fetch_asked(place)
