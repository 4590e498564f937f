"""The page's downloads: what a view gives, with what all views share."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import streamlit as st
from PIL import Image

from tfsss.ui import chooser, downloads
from tfsss.ui.attention.subject import Subject
from tfsss.ui.downloads import Taken
from tfsss.ui.pictures import OWN

HEIGHT, GAP = 448, 8  # pixels of a sheet's pictures, and between them

SCRIPT = '''"""Attention of {name} on one picture, with tfsss and no browser. Run it in the project's folder."""

from pathlib import Path

import numpy as np

from tfsss import weights
from tfsss.data.images import bundled, fit, load_image
{imports}
from tfsss.explain.inputs import normalise

loaded = {loaded}
picture = load_image({source})
pixels = fit(picture, {height}, {width}, "crop")
images = normalise(pixels, loaded.entry)
traced = trace(loaded.model, images)
print("weights", traced.weights.shape, "grid", traced.grid)
{lines}'''

HEADS_LINES = '''
matrix = traced.weights[{layer}]{head}
values = on_grid(traced, {row})
strongest = np.unravel_index(values.argmax(), values.shape)
print(f"strongest patch: row {{strongest[0]}} column {{strongest[1]}}, weight {{values.max():.4f}}")
Path("attention.jpg").write_bytes(overlay_jpeg(pixels, values, strength={strength}))
'''

METHODS_IMPORTS = '''from tfsss.explain.attention import trace
from tfsss.explain.methods import METHODS, compare
from tfsss.explain.relevance import relevance
from tfsss.explain.rollout import rollout
from tfsss.figures.overlay import overlay_jpeg'''

METHODS_LINES = '''
rolled = rollout(traced, {options})
relevant = relevance(loaded.model, images, class_index={class_index})
compared = compare(traced, loaded.entry.config, rolled, relevant)
print("rows of the rollout sum to", rolled.row_sums.min(), "...", rolled.row_sums.max())
for name, shares in zip(METHODS, compared.shares):
    print(f"{{name}}: largest share {{shares.max():.4f}}")
    Path(f"{{name}}.jpg").write_bytes(overlay_jpeg(pixels, shares, vmax={top}))
'''

MEASURED_LINES = '''
measured = faithfulness(loaded.model, images, dict(zip(METHODS, compared.shares)), fill="{fill}",
                        generator=np.random.default_rng({seed}), class_index={class_index})
for name, deletion, insertion in zip(METHODS, measured.curves.deletion_area, measured.curves.insertion_area):
    print(f"{{name}}: deletion {{deletion:.3f}} insertion {{insertion:.3f}}")
print(f"chance: deletion {{measured.chance.deletion_area.mean():.3f}}"
      f" insertion {{measured.chance.insertion_area.mean():.3f}}")
'''

DISTANCES_LINES = '''
each = heads(traced)
np.set_printoptions(precision=1, suppress=True)
print("distance in pixels, layers down, heads across; uniform:", round(each.uniform_distance, 1))
print(each.distance)
print("entropy in bits; uniform:", round(each.uniform_entropy, 2))
print(each.entropy)
'''

TOKENS_LINES = '''
found = outliers(traced, layer={layer})
print(f"{{int(found.is_outlier.sum())}} outliers, median norm {{found.median:.2f}}, rule {{found.threshold:.2f}}")
principal = components(traced)
print("variance explained", principal.explained)
norms = overlay_jpeg(pixels, found.norms, vmax=found.threshold)
Path("norms.jpg").write_bytes(norms)
'''


def offered(subject: Subject, taken: Taken) -> list[downloads.Download]:
    """The four downloads of a view."""
    traced, entry = subject.traced, subject.loaded.entry
    name = st.session_state["image"]
    source = 'Path("your_picture.jpg")' if name == OWN else f'bundled()["{name}"]'
    height, width = subject.pixels.shape[:2]

    def arrays() -> dict[str, np.ndarray]:
        kept = {"pixels": subject.pixels, "weights": traced.weights, "norms": traced.norms, "features": traced.features}
        if traced.logits is not None:
            kept["logits"] = traced.logits
        return kept | dict(taken.arrays())

    script = SCRIPT.format(name=entry.name, loaded=chooser.code(entry), source=source, height=height, width=width,
                           imports=taken.imports, lines=taken.lines)
    return downloads.downloads("attention", png=taken.png, arrays=arrays, script=script)


def sheet(pictures: Sequence[np.ndarray | bytes]) -> bytes:
    """Pictures of one height beside each other: pixels, or encoded.  Returns: PNG bytes."""
    opened = [Image.fromarray(picture) if isinstance(picture, np.ndarray) else Image.open(BytesIO(picture))
              for picture in pictures]
    scaled = [picture.convert("RGB").resize((round(picture.width * HEIGHT / picture.height), HEIGHT),
                                            Image.Resampling.NEAREST) for picture in opened]
    whole = Image.new("RGB", (sum(p.width + GAP for p in scaled) - GAP, HEIGHT), "white")
    left = 0
    for picture in scaled:
        whole.paste(picture, (left, 0))
        left += picture.width + GAP
    kept = BytesIO()
    whole.save(kept, "PNG")
    return kept.getvalue()
