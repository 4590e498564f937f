"""Lecture mode: large type, no sidebar, keys, and answers hidden until asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from tfsss.ui import state
from tfsss.ui.catalog import CATALOG
from tfsss.ui.language import t

LARGE = """<style>
html { font-size: 24px !important; }
[data-testid=stSidebar], [data-testid=stExpandSidebarButton], [data-testid=stHeader] { display: none; }
[data-testid=stMainBlockContainer] { max-width: none; padding-top: 0.8rem; }
.st-key-presenter { position: fixed; right: 0.8rem; bottom: 0.5rem; z-index: 1000; width: auto !important; }
.st-key-presenter button { min-height: 2rem; padding: 0 0.6rem; }
.st-key-presenter:not(:hover, :focus-within) { opacity: 0.4; } /* it lies over the page's lower right corner */
[data-testid=stMainBlockContainer] { padding-bottom: 5rem; }
</style>"""


def choose_lecture() -> None:
    """The lecture's part of the sidebar, which is still there in lecture mode, only not shown."""
    state.switch("app", "lecture", help=t("app.lecture.help"))
    state.switch("app", "predict", help=t("app.predict.help"))


def present(page_id: str) -> None:
    """In lecture mode: large type, and the presenter's buttons with their keys."""
    if not st.session_state["app_lecture"]:
        return
    st.html(LARGE)
    order = [listed.id for listed in CATALOG]
    with st.container(key="presenter", horizontal=True, gap="small"):
        for name, key, step in (("previous", "PageUp", -1), ("next", "PageDown", 1)):
            if st.button(t(f"app.presenter.{name}"), key=f"presenter_{name}", shortcut=key):
                st.switch_page(CATALOG[(order.index(page_id) + step) % len(order)].path)
        st.button(t("app.presenter.leave"), key="presenter_leave", shortcut="l", on_click=_leave)


def _leave() -> None:
    st.session_state["app_lecture"] = False


@contextmanager
def answer(question: str) -> Iterator[None]:
    """What "predict first" hides until it is revealed: the picture that the class is to guess.

    What it guesses from stays in sight: `style.css` lists the keys, and HTML has the class `tfsss-evidence`.

    Args:    question: id of what the class is asked; each is revealed by itself.
    """
    revealed = is_revealed(question)
    if st.session_state["app_predict"]:
        with st.container(key="question", horizontal=True, vertical_alignment="center"):
            st.button(t("app.hide" if revealed else "app.reveal"), key="reveal", shortcut="a", type="primary",
                      on_click=lambda: st.session_state.update(revealed=None if revealed else question))
            st.markdown(f"**{t(question)}**")
    with st.container(key="answer" if revealed else "answer_hidden"):
        yield


@contextmanager
def more_of_answer(question: str) -> Iterator[None]:
    """What else gives the answer away, elsewhere on the page."""
    with st.container(key="answer_more" if is_revealed(question) else "answer_hidden_more"):
        yield


def step_shown(number: int, question: str) -> int:
    """Of several steps that of the question; while its answer is hidden, the one before, from which it is guessed."""
    return number if is_revealed(question) else max(0, number - 1)


def is_revealed(question: str) -> bool:
    """Whether the answer is shown: always, unless "predict first" is on."""
    return not st.session_state["app_predict"] or st.session_state.get("revealed") == question
