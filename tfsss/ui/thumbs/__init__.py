"""Small pictures of which one is chosen: one component, where a button each cost a click on any page 5 ms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent

_thumbs = st.components.v2.component("tfsss_thumbs", css=(HERE / "thumbs.css").read_text("utf-8"),
                                     js=(HERE / "thumbs.js").read_text("utf-8"))


@dataclass(frozen=True, kw_only=True)
class Thumb:
    """One of them.  src: a data address; name: what it is called, for those who do not see it too."""

    id: str
    name: str
    src: str


def thumbnails(thumbs: Sequence[Thumb], chosen: str, *, label: str, key: str, on_pick: Callable[[str], None]) -> None:
    """Show them under a label; `on_pick` is told the id of another one that the visitor takes.

    Args:    key: unique in the app.
    """
    _thumbs(key=key, data={"label": label, "chosen": chosen, "thumbs": [asdict(thumb) for thumb in thumbs]},
            on_picked_change=lambda: on_pick(st.session_state[key]["picked"]))
