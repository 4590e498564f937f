"""How much of a picture can be guessed?  What a masked autoencoder sees, makes up, and how its tokens move."""

import streamlit as st

from tfsss.ui import frame, state, waiting
from tfsss.ui.foot import Foot, around
from tfsss.ui.mae import cost_view, grid_view, guess_view, shuffle_view, subject, taking, targets_view
from tfsss.ui.mae.panels import STYLE

VIEWS = {"guess": guess_view, "shuffle": shuffle_view, "targets": targets_view, "grid": grid_view, "cost": cost_view}


@waiting.fragment
def body() -> None:
    """What another view changes."""
    around(stage, "mae", state.choice("mae", "view", list(VIEWS), hide_label=True))


@waiting.fragment(key="stage")
def stage(view: str, foot: Foot) -> None:
    """What a control changes."""
    with foot.drawing(), st.container(key="stage"):
        shown = subject.current()
        taken = VIEWS[view].show(shown)
        if taken is not None:  # else the visitor has stopped it
            foot.ran(shown.loaded.entry if taken.ran else None, taken.forward_ms if taken.ran else None,
                     taking.offered(shown, taken))


frame.title("mae")
st.html(STYLE)
place = st.empty()
body()
waiting.run_asked(place)
