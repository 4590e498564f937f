"""The token map: which token looks at which, query down and key across, as cells or as lines between two columns.

Everything travels at once (48 tokens are 12 kB); pointing, pinning and the arrow keys are answered in the browser.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import streamlit as st

from tfsss.errors import TEXT
from tfsss.figures.color import HATCH, Theme, meaning
from tfsss.figures.scales import Scale, lut
from tfsss.ui import frame

HERE = Path(__file__).parent
Draw = Literal["cells", "lines"]

SCRIPTS = ("pieces", "drawing", "map")  # one module, in this order

_token_map = st.components.v2.component(
    "tfsss_token_map", css=(HERE / "token_map.css").read_text("utf-8"),
    js="\n".join((HERE / "js" / f"{name}.js").read_text("utf-8") for name in SCRIPTS))


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenMap:
    """What is drawn."""

    values: np.ndarray  # (m, n)
    rows: Sequence[str]  # m names of tokens
    columns: Sequence[str]  # n names
    row_ids: Sequence[int] = ()  # written beside the names; empty = none
    allowed: np.ndarray | None = None  # (m, n) boolean, False = hatched; None = all
    scale: Scale = "viridis"
    vmax: float = 1.0  # end of the scale
    first: int = 0  # the row that is shown before anybody points at one
    splits: tuple[int, ...] = ()  # a line is drawn before these rows and columns
    draw: Draw = "cells"


@cache
def map_text(language: str) -> dict[str, str]:
    """Every sentence that the map itself says.  Args: language: "en" or "zh"."""
    return json.loads((TEXT / language / "token_map.json").read_text(encoding="utf-8"))


def token_map(shown: TokenMap, *, key: str, text: Mapping[str, str], unit: str, title: str = "", badge: str = "",
              pinned: int | None = None, on_pin: Callable[[int | None], None] | None = None, width: int = 560) -> None:
    """Show a map.

    Args:    key: unique in the app. text: `map_text(language)`, with a page's own words over it.
             unit: what the numbers are; title: above the map; badge: words that lie on it, because it would mislead
             without them. pinned: the row that stays; on_pin: told when the visitor pins another, or lets go (None).
             width: greatest width in CSS pixels.
    """
    state = st.session_state.get(key) or {}
    sequence = (state.get("pinned") or {}).get("seq", 0)

    def tell() -> None:
        if on_pin is not None:
            on_pin(st.session_state[key]["pinned"]["token"])

    theme = frame.theme()
    words = {"text": dict(text), "unit": unit, "title": title, "badge": badge}
    _token_map(key=key, data=pack(shown, theme, pinned=pinned, seq=sequence, width=width, **words),
               on_pinned_change=tell)


def pack(shown: TokenMap, theme: Theme, **more: object) -> bytes:
    """A map as bytes: length of the header (4 bytes, little-endian), the header in JSON, then values as float32, a byte
    for each blocked cell, and the scale's 256 colours.  Args: more: for the header, as it is.
    """
    header = json.dumps({
        "rows": list(shown.rows), "columns": list(shown.columns), "ids": list(map(int, shown.row_ids)),
        "signed": shown.scale == "signed", "vmax": shown.vmax, "first": shown.first, "splits": list(shown.splits),
        "draw": shown.draw, "colors": {name: meaning(name, theme) for name in ("query", "key")},
        "hatch": ["rgb({} {} {})".format(*grey) for grey in HATCH], **more,
    }).encode()
    values = np.ascontiguousarray(shown.values, "<f4")
    blocked = np.zeros(values.shape, np.uint8) if shown.allowed is None else (~shown.allowed).astype(np.uint8)
    arrays = values.tobytes() + blocked.tobytes() + lut(shown.scale).tobytes()
    return len(header).to_bytes(4, "little") + header + arrays
