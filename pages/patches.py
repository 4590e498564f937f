"""Patches: how a picture becomes a sequence."""

import streamlit as st

from tfsss.ui import downloads, frame, lecture
from tfsss.ui.foot import Foot, around
from tfsss.ui.patches import pieces
from tfsss.ui.patches.cut_view import choose_patch
from tfsss.ui.patches.cut_view import show as cut_view
from tfsss.ui.patches.sequence_view import costs_view, sequence_view
from tfsss.ui.patches.setting import choose_view, controls, script, uncut
from tfsss.ui.patches.weights_view import choose_range, filters_view, table_view


@st.fragment
def body() -> None:
    """What another view changes."""
    around(stage, "patches", choose_view())


@st.fragment(key="stage")
def stage(view: str, foot: Foot) -> None:
    """What a control changes."""
    with foot.drawing(), st.container(key=f"patches_{frame.theme()}"):
        with st.container(horizontal=True, vertical_alignment="top", key="patches_controls"):
            if view == "filters":
                setting, shared = uncut(), choose_range()
            else:
                setting = controls()
                cut = setting.cut()
            if view == "cut":
                number = choose_patch(cut)
        with lecture.answer(f"patches.predict.{view}"):
            if view == "cut":
                taken = cut_view(setting, cut, number)
            elif view == "filters":
                taken = filters_view(setting, shared)
            elif view == "costs":
                taken = costs_view(setting, cut)
            elif view == "sequence":
                taken = sequence_view(setting, cut)
            else:
                taken = table_view(setting, cut)
        offers = downloads.downloads("patches", png=taken.png, arrays=taken.arrays, script=script(setting, taken.lines))
        foot.ran(setting.loaded.entry, None, offers)


frame.title("patches")
st.html(pieces.STYLE)
body()
