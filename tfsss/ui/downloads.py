"""Taking a page away: the picture, the page as one file, every array, and a script that makes them again."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from io import BytesIO

import numpy as np
import streamlit as st

from tfsss.figures import caption
from tfsss.ui import frame
from tfsss.ui.language import language, sentences, t


@dataclass(frozen=True, kw_only=True, eq=False)
class Taken:
    """What a view gives to the downloads: its picture, its own arrays, and the lines that compute them."""

    png: Callable[[], bytes]
    arrays: Callable[[], Mapping[str, np.ndarray]]
    imports: str
    lines: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Download:
    """One button; its bytes are made when it is pressed."""

    kind: str  # png, html, npz, py: its label is `app.download.<kind>`
    name: str  # of the file
    mime: str
    make: Callable[[], bytes]

    def button(self) -> None:
        st.download_button(t(f"app.download.{self.kind}"), self.make, self.name, self.mime, key=f"download_{self.kind}",
                           on_click="ignore", width="stretch")


def downloads(room: str, *, png: Callable[[], bytes], arrays: Callable[[], Mapping[str, np.ndarray]],
              script: str) -> list[Download]:
    """The four that every page offers.

    Args:    room: the page; png: its main picture; arrays: name -> array, everything that is drawn;
             script: Python that computes the same with `tfsss` and no browser.
    """
    chosen = language()  # the bytes are made outside of the visitor's session
    return [
        Download(kind="png", name=f"tfsss-{room}.png", mime="image/png", make=png),
        Download(kind="html", name=f"tfsss-{room}.html", mime="text/html",
                 make=lambda: page(room, chosen, png(), script)),
        Download(kind="npz", name=f"tfsss-{room}.npz", mime="application/octet-stream", make=lambda: npz(arrays())),
        Download(kind="py", name=f"tfsss-{room}.py", mime="text/x-python", make=script.encode),
    ]


def captioned(offers: Sequence[Download], words: str) -> list[Download]:
    """The same downloads, the picture with words under it."""
    theme = frame.theme()  # now: the bytes are made outside of any run
    return [replace(offer, make=lambda offer=offer: caption.captioned(offer.make(), words, theme=theme))
            if offer.kind == "png" else offer for offer in offers]


def npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The arrays as one compressed NumPy file."""
    kept = BytesIO()
    np.savez_compressed(kept, **arrays)
    return kept.getvalue()


def page(room: str, chosen: str, png: bytes, script: str) -> bytes:
    """One HTML file that needs nothing else: the question, the picture, what to notice, and the script."""
    words = sentences(chosen, room)
    question, lead = words["title"], words["lead"]
    return f"""<!doctype html>
<html lang="{chosen}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(question)}</title>
<style>body {{ font-family: system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
img {{ max-width: 100%; }} pre {{ overflow-x: auto; background: #f5f6f8; padding: 1rem; }}</style>
<h1>{escape(question)}</h1><p>{escape(lead)}</p>
<img alt="{escape(question)}" src="data:image/png;base64,{b64encode(png).decode()}">
<pre>{escape(script)}</pre></html>
""".encode()
