"""The page's downloads: what a view gives, and a script that computes it again without a browser."""

from __future__ import annotations

import streamlit as st

from tfsss.ui import chooser, downloads
from tfsss.ui.pictures import OWN
from tfsss.ui.swin.subject import SIDE, UNTRAINED, Subject, Taken

SCRIPT = '''"""The Swin page of tfsss without a browser: its numbers and picture.  Run it in the project's folder."""

from pathlib import Path

import numpy as np

from tfsss import weights
from tfsss.data.images import bundled, fit, load_image
{imports}

loaded = {loaded}
picture = load_image({source})
pixels = fit(picture, {height}, {width})
{lines}Path("tfsss-swin.png").write_bytes(png)
np.savez_compressed("tfsss-swin.npz", **arrays)
'''


def offered(subject: Subject, taken: Taken) -> list[downloads.Download]:
    """The four downloads of a view."""
    imports, loaded = taken.imports, chooser.code(subject.loaded.entry)
    if subject.untrained:
        loaded = f'weights.untrained("swin", VARIANTS["{UNTRAINED}"], input_size={SIDE})'
        imports += "\nfrom tfsss.models.swin import VARIANTS"
    name = st.session_state["image"]
    source = 'Path("your_picture.jpg")' if name == OWN else f'bundled()["{name}"]'
    height, width = ((subject.loaded.entry.input_size,) * 2 if taken.grid is None
                     else (side * subject.patch for side in taken.grid))
    script = SCRIPT.format(imports=imports, loaded=loaded, source=source, height=height, width=width, lines=taken.lines)
    return downloads.downloads("swin", png=taken.png, arrays=taken.arrays, script=script)
