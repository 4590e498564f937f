"""Two canvases on one page, for tests/e2e/test_canvas.py: one to pin (two panels), one to paint."""

import numpy as np
import streamlit as st

from tfsss.figures.bitmap import from_bitmap
from tfsss.figures.overlay import jpeg
from tfsss.ui.canvas import Panel, canvas_text, pack_scene, patch_canvas

st.set_page_config(layout="wide")
language = st.segmented_control("Language", ["en", "zh"], default="en", key="lang", bind="query-params") or "en"
strength = st.slider("Strength", 0.0, 1.0, 0.6, key="strength")


@st.cache_data(max_entries=2)
def scenes() -> tuple[np.ndarray, bytes, bytes]:
    random = np.random.default_rng(0)
    gy, gx = 8, 12
    tokens = 1 + gy * gx
    y, x = np.mgrid[:gy, :gx]
    place = np.stack([y, x], -1).reshape(-1, 2)
    distance = np.linalg.norm(place[:, None] - place[None], axis=-1)
    weights = np.exp(random.normal(size=(tokens, tokens)) * 0.4)
    weights[1:, 1:] *= np.exp(-distance / 2)
    weights[:, 0] = 20
    weights /= weights.sum(axis=1, keepdims=True)
    allowed = np.ones((tokens, tokens), bool)
    allowed[1:, 1:] = distance < 6
    pixels = np.stack([np.tile(np.linspace(0, 255, 480, dtype=np.uint8), (320, 1))] * 3, -1)
    pixels[100:220, 150:330] = (200, 120, 40)
    picture = jpeg(pixels)
    pin = pack_scene(grid=(gy, gx), picture=picture, prefix=1,
                     panels=(Panel(values=weights), Panel(values=weights * allowed, allowed=allowed)))
    return weights, pin, pack_scene(grid=(gy, gx), picture=picture)


weights, to_pin, to_paint = scenes()
canvas, fields = st.container(), st.container()
with fields:
    pinned = st.number_input("Query token", 0, 96, value=None, key="pin", bind="query-params")
    painted = st.text_input("Painted set", key="set", bind="query-params")
with canvas:
    words = canvas_text(language)
    chosen = patch_canvas(to_pin, key="pin_canvas", text=words, unit="weight", pinned=pinned, pin_key="pin", width=320,
                          titles=["all", "near"], prefix=["class token"], strength=strength)
    brush = patch_canvas(to_paint, key="paint_canvas", text=words, paint=True, painted=painted, paint_key="set",
                         labels=True, width=480)
st.text(f"server: pinned={chosen.pinned} painted={int(from_bitmap(brush.painted, (8, 12)).sum())}")
