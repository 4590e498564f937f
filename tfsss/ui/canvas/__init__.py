"""The patch canvas: a picture, its grid and a row of numbers over it, redrawn in the browser while the pointer moves.

Two components stand behind one call. The canvas holds the arrays (`scene`); they travel only when they change, because
Streamlit sends an unchanged message as its hash. The view, a component that draws nothing, carries what a click or a
slider changes, some hundred bytes, and hands it to the canvas of the same name in the browser.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import streamlit as st

from tfsss.errors import TEXT
from tfsss.figures.color import meaning
from tfsss.ui import frame
from tfsss.ui.canvas.scene import Panel, pack_scene

__all__ = ["Panel", "Selection", "canvas_text", "pack_scene", "patch_canvas"]

HERE = Path(__file__).parent
SCRIPTS = ("scene", "draw", "words", "board", "canvas")  # one module, in this order


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What the visitor chose: the pinned token's index in the sequence, the painted set as `figures.bitmap` text."""

    pinned: int | None
    painted: str


def script(*names: str) -> str:
    """The files under js/ as one module, without comments and indentation: it travels with every new scene."""
    lines = [line.strip() for name in names for line in (HERE / "js" / f"{name}.js").read_text("utf-8").splitlines()]
    return "\n".join(line for line in lines if line and not line.startswith("//"))


_canvas = st.components.v2.component("tfsss_canvas", css=(HERE / "canvas.css").read_text("utf-8"), js=script(*SCRIPTS))
_view = st.components.v2.component("tfsss_canvas_view", js=script("view"))


@cache
def canvas_text(language: str) -> dict[str, str]:
    """Every sentence that the canvas itself says.  Args: language: "en" or "zh"."""
    return json.loads((TEXT / language / "canvas.json").read_text(encoding="utf-8"))


def patch_canvas(scene: bytes, *, key: str, text: Mapping[str, str], unit: str = "", pinned: int | None = None,
                 pin_key: str | None = None, paint: bool = False, painted: str = "", paint_key: str | None = None,
                 titles: Sequence[str] = (), prefix: Sequence[str] = (), strength: float = 0.6, grid: bool = True,
                 labels: bool = False, first: int = 0, boxes: tuple[float, float, float, float] | None = None,
                 width: int = 448, columns: int = 3) -> Selection:
    """Show a scene, and say what the visitor chose in it.

    Args:    scene: from `pack_scene`; keep it in a cache, and nothing of the selection in it.
             key: of the component, unique in the app.
             text: `canvas_text(language)`, with a page's own words over it where "query" and "key" do not fit.
             unit: what the numbers are ("weight"), in the visitor's language.
             pinned, painted: what the fields that mirror the choice returned, a number and a text. pin_key, paint_key:
             their keys, which the canvas writes into (make them before it: they stand in the address, and whoever
             cannot use a pointer types there); None = no field, the component keeps the choice itself.
             paint: clicking and dragging paint a set of patches instead of pinning one.
             titles: one per panel. prefix: a name for each prefix token. labels: numbers in cells of 18 px or more,
             counted from `first`.
             boxes: width and height of a patch, and the steps to the next across and down, in parts of the picture's
             width and height, where patches overlap or leave gaps; None = they tile it. For scenes without panels.
             strength: 0 = the picture alone, 1 = the map alone.
             width: greatest width of one panel in CSS pixels. columns: at most so many panels side by side.
    """
    def mirror(name: str, part: str, field: str | None) -> None:
        if field is not None:
            st.session_state[field] = st.session_state[key][name][part]

    sent = _canvas(
        key=key, data=addressed(key, scene),
        on_pinned_change=lambda: mirror("pinned", "token", pin_key),
        on_painted_change=lambda: mirror("painted", "bits", paint_key),
    )
    pin, brush = sent.get("pinned") or {}, sent.get("painted") or {}
    chosen = Selection(pinned=pinned if pin_key else pin.get("token", pinned),
                       painted=painted if paint_key else brush.get("bits", painted))
    theme = frame.theme()
    _view(key=f"{key}_unseen", data={
        "name": key, "seq": max(pin.get("seq", 0), brush.get("seq", 0)), "pinned": chosen.pinned,
        "painted": chosen.painted, "paint": paint, "unit": unit, "text": dict(text), "titles": list(titles),
        "prefix": list(prefix), "strength": strength, "grid": grid, "labels": labels, "first": first,
        "boxes": boxes, "width": width, "columns": columns,
        "colors": {"query": meaning("query"), "key": meaning("key"), "hover": meaning("text", theme)},
    })
    return chosen


def addressed(name: str, scene: bytes) -> bytes:
    """The scene behind the name of the canvas that it is for (its length in 4 bytes, little-endian)."""
    return len(name.encode()).to_bytes(4, "little") + name.encode() + scene
