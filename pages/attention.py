"""What did it look at?"""

import streamlit as st

from tfsss.ui import frame, state, waiting
from tfsss.ui.attention import distances, heads, measured, methods, subject, taking, tokens
from tfsss.ui.foot import Foot, around

VIEWS = {"heads": heads, "methods": methods, "faithfulness": measured, "distances": distances, "tokens": tokens}


@waiting.fragment
def body() -> None:
    """What another view changes."""
    around(stage, "attention", state.choice("attention", "view", list(VIEWS), hide_label=True))


@waiting.fragment(key="stage")
def stage(view: str, foot: Foot) -> None:
    """What a control changes."""
    with foot.drawing():
        shown = subject.current()
        taken = VIEWS[view].show(shown)
        foot.ran(shown.loaded.entry, shown.forward_ms, taking.offered(shown, taken))


frame.title("attention")
place = st.empty()
body()
waiting.run_asked(place)
