"""What every page says of its picture: which weights ran, on what and how long, and what can be taken away.

A click runs a page's stage again, and nothing else. The line under the picture belongs to it; the downloads are made
once for the page, and ask the stage for their bytes when they are pressed.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import streamlit as st

from tfsss.ui import catalog, frame, guard, pictures, state
from tfsss.ui.downloads import Download, captioned
from tfsss.ui.language import t, weights_name
from tfsss.weights.registry import Entry


class Foot:
    """What a stage and the rest of its page share: made by the page, filled by each run of the stage."""

    def __init__(self, room: str, view: str | None = None, *, about: str = "") -> None:
        """Args:    room: the page's id and the room of its texts. view: None = the page has none.
                    about: what else is chosen outside of the stage, in words.
        """
        self.room, self.view, self.about = room, view, about
        self.offers: Sequence[Download] = ()
        self.offered: int | None = None  # how many of them are on the page; None = it has not been drawn yet

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Around a run of the stage: errors become sentences, and the line under the picture is always there."""
        self.started, self.said = time.perf_counter(), False
        st.session_state[state.NOTES] = {}
        state.begin_stage()
        with guard.guard():
            yield
        if not self.said:
            self.ran(None, None)
        state.write_address()

    def ran(self, entry: Entry | None, forward_ms: float | None, offers: Sequence[Download] | None = None) -> None:
        """The line under the picture.

        Args:    entry: None where no model ran. forward_ms: of the computation when it was last computed.
                 offers: what can be taken away; None = nothing.
        """
        self.said, self.offers = True, captioned(offers or (), self._caption(entry))
        if self.offered is not None and self.offered != len(self.offers):
            st.rerun()
        drawing = (time.perf_counter() - self.started) * 1000
        sentences = []
        if entry is not None:
            sentences.append(t(f"app.foot.{entry.kind}", name=weights_name(entry), id=entry.id, paper=entry.paper,
                               parameters=f"{entry.parameters:,}", licence=entry.licence))
        if forward_ms is not None:
            sentences.append(t("app.foot.forward", ms=f"{forward_ms:.0f}"))
        sentences.append(t("app.foot.page", ms=f"{drawing:.0f}", device=f"CPU, {platform.machine()}"))
        st.html(f'<div class="tfsss-foot" data-forward-ms="{forward_ms or 0:.1f}">{" ".join(sentences)}</div>')

    def _caption(self, entry: Entry | None) -> str:
        """What a picture that is taken away says under it: page and view, model, the visitor's picture, settings."""
        parts = [t(f"{self.room}.name")]
        if self.view is not None:
            parts.append(t(f"{self.room}.view.{self.view}"))
        if self.about:
            parts.append(self.about)
        if entry is not None:
            parts.append(weights_name(entry))
        if catalog.listed(self.room).picture:
            parts.append(t("app.setting", label=t("app.image"), value=pictures.picture_name()))
        settings = {key: words for key, words in st.session_state[state.NOTES].items() if key != f"{self.room}_view"}
        return " · ".join([*parts, *settings.values()])

    def take_away(self) -> None:
        """The downloads, once for the page; after its stage."""
        self.offered = len(self.offers)
        if self.offers:
            with st.container(key="take_away", horizontal_alignment="right"), st.popover(
                    t("app.download"), icon=":material/download:"):
                for place, offer in enumerate(self.offers):
                    replace(offer, make=lambda place=place: self.offers[place].make()).button()


def around(stage: Callable[[str, Foot], None], room: str, view: str, *, about: str = "") -> None:
    """What stands under a page's choice of view: its stage, the downloads, and what to notice.

    Args:    stage: draws what the view shows; the rest as of `Foot`.
    """
    foot = Foot(room, view, about=about)
    stage(view, foot)
    foot.take_away()
    frame.look(room, view)
