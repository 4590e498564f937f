"""One canvas of DINOv2's size, for its weight and speed: `?heads=1` or `?heads=6`."""

import numpy as np
import streamlit as st
from PIL import Image

from tfsss.figures.overlay import jpeg
from tfsss.ui.canvas import Panel, canvas_text, pack_scene, patch_canvas

heads = int(st.query_params.get("heads", 1))
tokens = 1 + 16 * 16
random = np.random.default_rng(0)
weights = np.exp(random.normal(size=(heads, tokens, tokens)) * 1.5)
weights /= weights.sum(axis=-1, keepdims=True)
rough = Image.fromarray(random.integers(0, 256, (40, 40, 3), dtype=np.uint8))
picture = jpeg(np.asarray(rough.resize((448, 448), Image.Resampling.BICUBIC)))
scene = pack_scene(grid=(16, 16), picture=picture, prefix=1, panels=tuple(Panel(values=head) for head in weights))
chosen = patch_canvas(scene, key="canvas", text=canvas_text("en"), unit="weight", prefix=["class token"],
                      titles=[f"head {head}" for head in range(heads)] if heads > 1 else [],
                      width=448 if heads == 1 else 280)
st.text(f"picture {len(picture)} scene {len(scene)} pinned={chosen.pinned}")
