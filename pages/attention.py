"""What did it look at?"""

import streamlit as st

from tfsss.ui import frame, state
from tfsss.ui.attention import distances, heads, measured, methods, subject, taking, tokens

VIEWS = {"heads": heads, "methods": methods, "faithfulness": measured, "distances": distances, "tokens": tokens}

frame.title("attention")
view = state.choice("attention", "view", list(VIEWS), hide_label=True)
shown = subject.current()
with st.container(key=f"attention_view_{view}"):
    taken = VIEWS[view].show(shown)
frame.look("attention")
frame.foot(shown.loaded.entry, shown.forward_ms, taking.offered(shown, taken))
