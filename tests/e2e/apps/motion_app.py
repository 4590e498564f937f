"""Tokens that roll and that shuffle, for tests/e2e/test_motion.py."""

import numpy as np
import streamlit as st

from tfsss.figures.overlay import jpeg
from tfsss.ui.motion import HATCHED, PICTURE, Step, motion, pack_steps

step = st.segmented_control("Step", [0, 1, 2], default=0, key="step", required=True)
y, x = np.mgrid[:6, :8]
places = np.stack([y, x], -1).reshape(-1, 2)
pixels = np.zeros((96, 128, 3), np.uint8)
pixels[..., 0], pixels[..., 1] = np.arange(128) * 2, np.arange(96)[:, None] * 2
rolled = (places - [2, 3]) % [6, 8]
looks = np.where(np.arange(48) % 3, PICTURE, HATCHED)
steps = [Step(places=places, alt="as it was"),
         Step(places=rolled, regions=np.arange(48) % 4, labels=[str(i) for i in range(48)], alt="rolled"),
         Step(places=places[np.random.default_rng(0).permutation(48)], looks=looks, alt="shuffled")]
motion(pack_steps(steps, stage=(6, 8), grid=(6, 8), picture=jpeg(pixels)), step, key="moving", width=420)
