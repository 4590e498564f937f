"""What every page has: the sidebar, a question for a title, and what to notice in the picture."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import streamlit as st

from tfsss.figures.color import Theme
from tfsss.figures.maps import scale_bar
from tfsss.figures.scales import Scale
from tfsss.ui import catalog, chooser, guard, lecture, pictures, state
from tfsss.ui.language import LANGUAGES, first_language, language, sentences, t

STYLE = Path(__file__).with_name("style.css")


def begin(page_id: str) -> None:
    """The style and the sidebar's controls, shared by all pages; `settle_language` has run before."""
    st.session_state["_started"] = True
    state.begin(page_id)
    st.html(STYLE)
    with st.sidebar:
        choose_language()
        pictures.settle_picture()
        if catalog.listed(page_id).picture:
            pictures.choose_picture()
        with guard.guard():
            chooser.choose_weights(page_id)
        lecture.choose_lecture()
    lecture.present(page_id)


def settle_language() -> None:
    """Before anything is written: which language it is to be written in."""
    state.settle("lang", "lang", first_language(), _language)


def choose_language() -> None:
    """The language control. Its value always stands in the address: the reader of a link may have another browser."""
    value = st.segmented_control("Language / 语言", list(LANGUAGES), format_func=LANGUAGES.get, key="lang",
                                 required=True, label_visibility="collapsed")
    state.record("lang", "lang", value, value)


def _language(text: str) -> str:
    if text not in LANGUAGES:
        raise ValueError(text)
    return text


def title(room: str) -> None:
    """The page's question and its one sentence."""
    if "_started" not in st.session_state:  # not run by app.py: see tfsss/ui/__init__.py
        st.rerun()
    st.title(t(f"{room}.title"), anchor=False)
    st.markdown(t(f"{room}.lead"))


def look(room: str, view: str | None) -> None:
    """The tab of what to notice: first what concerns the view, and all views, then folded what concerns others.

    Args:    room: of the texts: `look` concerns all views, `look.<view>.<view>` those that it names.
    """
    own, others = [], []
    for name, text in sentences(language(), room).items():
        kind, *views = name.split(".")
        if kind == "look":
            (others if views and view not in views else own).append(text)
    if st.session_state["app_predict"]:  # it knows the answers
        st.expander(t("app.look")).markdown("\n".join(own + others))
        return
    (tab,) = st.tabs([t("app.look")])
    with tab:
        st.markdown("\n".join(own))
        if others:
            with st.expander(t("app.look_others")):
                st.markdown("\n".join(others))


def theme() -> Theme:
    """The visitor's theme."""
    return "dark" if st.context.theme.type == "dark" else "light"


def bar(low: str, high: str, unit: str, *, scale: Scale = "viridis") -> str:
    """A scale bar with its ends printed, as HTML."""
    picture = b64encode(scale_bar(scale=scale)).decode()
    return (f'<div class="tfsss-bar"><span>{low}</span><img alt="" src="data:image/png;base64,{picture}">'
            f"<span>{high}</span><span>{unit}</span></div>")
