"""How does attention know where a token is?  Seven answers: their numbers, what they make alike, and where they end."""

import time

import streamlit as st

from tfsss.ui import downloads, frame, guard, lecture
from tfsss.ui.position import biases, controls, encodings, grids, pairs, turning
from tfsss.ui.position.show import STYLE

DRAW = {
    "map": encodings.draw_map, "similarity": encodings.draw_similarity, "waves": encodings.draw_waves,
    "grid": grids.draw_grid, "resize": grids.draw_resize, "compare": pairs.draw_compare, "beyond": pairs.draw_beyond,
    "bias": biases.draw_bias, "steps": biases.draw_steps, "pairs": turning.draw_pairs,
}


@st.fragment
def body() -> None:
    """Everything that a control changes; only this runs again when one is moved."""
    st.session_state["_started"] = time.perf_counter()
    drawn = entry = None
    with guard.guard(), st.container(key="stage"):
        chosen = controls.choose()
        entry = controls.entry_of(chosen)
        with lecture.answer():
            drawn = DRAW[chosen.view](chosen)
    frame.look("position")
    frame.foot(entry, None, drawn and downloads.downloads("position", png=drawn.png, arrays=drawn.arrays,
                                                          script=drawn.script))


frame.title("position")
st.html(STYLE)
body()
