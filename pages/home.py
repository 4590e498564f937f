"""Home: one picture through everything, side by side; each tile is the door to its page."""

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tfsss.ui import cache, chooser, frame, guard, home, pictures
from tfsss.ui.foot import Foot


@st.fragment(key="stage")
def stage(places: Sequence[DeltaGenerator], foot: Foot) -> None:
    """What another picture changes."""
    with foot.drawing():
        picture, loaded = pictures.current_picture(), chooser.current_vit()
        cache.begin(lambda: home.traced(picture, loaded))
        for tile, place in sorted(zip(home.TILES, places), key=lambda drawn: drawn[0].needs_forward):
            if tile.needs_forward:
                _, forward_ms = home.traced(picture, loaded)
            with place, guard.guard():
                image, kind, alt, caption = tile.draw(picture, loaded)
                st.image(image, caption, output_format=kind, alt=alt, width="stretch")
        foot.ran(loaded.entry, forward_ms)


frame.title("home")
with st.container(key="tiles"):
    empty = [home.door(tile) for tile in home.TILES]
stage(empty, Foot("home"))
