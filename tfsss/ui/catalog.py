"""The pages, in the order in which they are listed."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from tfsss.ui.language import t


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One page: its file in `pages/`, its room of texts and its address are all its id."""

    id: str
    icon: str
    picture: bool = True  # whether it shows anything of the visitor's picture

    @property
    def path(self) -> str:
        return f"pages/{self.id}.py"


CATALOG = (
    Listed(id="home", icon=":material/home:"),
    Listed(id="position", icon=":material/pin_drop:", picture=False),
    Listed(id="masks", icon=":material/visibility_off:", picture=False),
    Listed(id="text", icon=":material/notes:", picture=False),
    Listed(id="patches", icon=":material/grid_on:"),
    Listed(id="swin", icon=":material/window:"),
    Listed(id="attention", icon=":material/center_focus_strong:"),
    Listed(id="mae", icon=":material/blur_on:"),
)


def navigation() -> st.Page:
    """The chosen page; every page is in the list, named in the visitor's language."""
    pages = [st.Page(listed.path, title=t(f"{listed.id}.name"), icon=listed.icon, url_path=listed.id,
                     default=listed.id == "home") for listed in CATALOG]
    return st.navigation(pages, expanded=True)


def listed(page_id: str) -> Listed:
    """The page with this id."""
    return next(each for each in CATALOG if each.id == page_id)
