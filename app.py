"""tfsss: see what a transformer's source code does.  Run: streamlit run app.py"""

from pathlib import Path

import streamlit as st

from tfsss.ui import catalog, frame, guard, start, state

st.set_page_config(page_title="tfsss", page_icon=Path(__file__).with_name("assets") / "icon.png", layout="wide")
start.warm_up()
frame.settle_language()
page = catalog.navigation()
with guard.guard():
    frame.begin(page.url_path or "home")
    page.run()
    state.write_address()
