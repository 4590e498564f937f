"""How does attention know where a token is?  Seven answers: their numbers, what they make alike, and where they end."""

from functools import partial

import streamlit as st

from tfsss.ui import downloads, frame, lecture
from tfsss.ui.foot import Foot, around
from tfsss.ui.language import t
from tfsss.ui.position import biases, controls, encodings, grids, pairs, turning
from tfsss.ui.position.show import STYLE

DRAW = {
    "map": encodings.draw_map, "similarity": encodings.draw_similarity, "waves": encodings.draw_waves,
    "grid": grids.draw_grid, "resize": grids.draw_resize, "compare": pairs.draw_compare, "beyond": pairs.draw_beyond,
    "bias": biases.draw_bias, "steps": biases.draw_steps, "pairs": turning.draw_pairs,
}


@st.fragment
def body() -> None:
    """What another kind or view changes."""
    kind, view = controls.choose_view()
    about = t("app.setting", label=t("position.kind"), value=t(f"position.kind.{kind}"))
    around(partial(stage, kind), "position", view, about=about)


@st.fragment(key="stage")
def stage(kind: str, view: str, foot: Foot) -> None:
    """What a control changes."""
    with foot.drawing(), st.container(key="stage"):
        chosen = controls.choose(kind, view)
        entry = controls.entry_of(chosen)
        with lecture.answer(f"position.predict.{view}"):
            drawn = DRAW[view](chosen)
        offers = downloads.downloads("position", png=drawn.png, arrays=drawn.arrays, script=drawn.script)
        foot.ran(entry, None, offers)


frame.title("position")
st.html(STYLE)
body()
