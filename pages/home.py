"""Home: one picture through everything, side by side; each tile is the door to its page."""

import streamlit as st

from tfsss.ui import catalog, chooser, frame, guard, pictures
from tfsss.ui.home import TILES, traced
from tfsss.ui.language import t

frame.title("home")
picture, loaded = pictures.current_picture(), chooser.current_vit()
with st.container(key="tiles"):
    columns = [column for _ in range(0, len(TILES), 3) for column in st.columns(3, gap="medium")]
    for tile, column in zip(TILES, columns):
        with column, st.container(key=f"tile_{tile.page}", border=True):
            st.page_link(f"pages/{tile.page}.py", label=f"**{t(f'{tile.page}.title')}**", icon=catalog.icon(tile.page))
            with guard.guard():
                image, kind, alt, caption = tile.draw(picture, loaded)
                st.image(image, output_format=kind, alt=alt, width="stretch")
                st.caption(caption)
_, forward_ms = traced(picture, loaded)
frame.foot(loaded.entry, forward_ms)
