"""Tokens on the move: each keeps its own pixels and goes from where it was to where it goes.

A roll slides, a window lifts out, a shuffle crosses: the picture of a function that only rearranges. The steps are
given all at once; the page's own control says which one is shown, and the component moves there from the last one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import streamlit as st

from tfsss.figures.color import HATCH, OKABE_ITO, meaning
from tfsss.ui import frame

HERE = Path(__file__).parent
HIDDEN, PICTURE, HATCHED, BLANK = range(4)  # how a token is drawn

_motion = st.components.v2.component("tfsss_motion", css=(HERE / "motion.css").read_text("utf-8"),
                                     js=(HERE / "motion.js").read_text("utf-8"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """Where every token is, and how it is drawn. t tokens; places are in cells of the stage and need not be whole."""

    places: np.ndarray  # (t, 2): row, column
    looks: np.ndarray | None = None  # (t,) HIDDEN, PICTURE, HATCHED or BLANK; None = all PICTURE
    regions: np.ndarray | None = None  # (t,) ids, each a colour (Okabe-Ito); -1 = none; None = none
    labels: Sequence[str] | None = None  # (t,) a word or number on each token
    alt: str = ""  # what this step shows, for those who do not see it


def pack_steps(steps: Sequence[Step], *, stage: tuple[float, float], grid: tuple[int, int],
               picture: bytes | None) -> bytes:
    """All steps as bytes.

    Args:    stage: (rows, columns) that are visible. grid: (gy, gx), how the picture is cut: token i shows patch i;
             tokens past gy*gx have no pixels (padding, mask tokens). picture: JPEG or PNG bytes.
    Returns: the length of a JSON header (4 bytes, little-endian), the header, the places as int16 in 1/64 cell, looks
             and regions as int8, then the picture.
    """
    count = len(steps[0].places)
    places = np.stack([np.round(np.asarray(step.places, float) * 64) for step in steps]).astype("<i2")
    looks = np.stack([np.full(count, PICTURE) if step.looks is None else step.looks for step in steps]).astype(np.int8)
    none = np.full(count, -1)
    regions = np.stack([none if step.regions is None else step.regions for step in steps]).astype(np.int8)
    header = json.dumps({
        "stage": stage, "grid": grid, "tokens": count, "steps": len(steps), "alts": [step.alt for step in steps],
        "digest": sha256(picture).hexdigest()[:16] if picture else "",
        "labels": [None if step.labels is None else list(step.labels) for step in steps], "colors": OKABE_ITO,
        "hatch": ["rgb({}, {}, {})".format(*grey) for grey in HATCH],
    }).encode()
    header += b" " * (-len(header) % 4)
    arrays = places.tobytes() + looks.tobytes() + regions.tobytes()
    return len(header).to_bytes(4, "little") + header + arrays + (picture or b"")


def motion(scene: bytes, step: int, *, key: str, width: int = 460) -> None:
    """Show one step of a scene, moving there from the step shown before.

    Args:    scene: from `pack_steps`; keep it in a cache. step: from 0. key: unique in the app.
             width: greatest width in CSS pixels.
    """
    theme = frame.theme()
    view = json.dumps({"step": step, "width": width, "text": meaning("text", theme)}).encode()
    _motion(key=key, data=len(view).to_bytes(4, "little") + view + scene)
