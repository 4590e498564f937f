"""What takes seconds runs outside of the page's fragment: Streamlit lets no click inside a fragment end a run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tfsss.ui.language import t

ASKED = "_asked"
REACHED = "_reached"  # how far what runs has come
STOPPED = "_stopped"
DONE = "_done"

Progress = Callable[[int, int], None]  # parts done, and all of them


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """A computation that a fragment asked for, and that keeps its result itself."""

    key: tuple
    work: Callable[[Progress], None]
    words: str  # of `<words>.progress`, with fields done, total, left, and `<words>.stopped`, with done and total


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """Where a visitor ended a computation."""

    key: tuple
    done: int
    total: int  # 0 = before its first part was done


def fragment(function: Callable | None = None, *, key: str | None = None) -> Callable:
    """`st.fragment` for a page that can compute for long.

    In the run that does, its controls belong to the whole script, where a click on any of them ends the computation.
    """
    if function is None:
        return lambda function: fragment(function, key=key)
    inside = st.fragment(function, key=key)

    @wraps(function)
    def called(*given: object) -> None:
        if ASKED not in st.session_state:
            return inside(*given)
        with st.container():  # as a fragment is
            return function(*given)

    return called


def ask(key: tuple, work: Callable[[Progress], None], words: str) -> None:
    """From within a fragment: the whole page runs again, and `run_asked` computes at its end."""
    st.session_state.pop(STOPPED, None)
    st.session_state[ASKED] = Asked(key=key, work=work, words=words)
    st.rerun()


def is_asked(key: tuple) -> bool:
    """Whether it is going to be computed at the end of this run."""
    asked = st.session_state.get(ASKED)
    return asked is not None and asked.key == key


def was_stopped(key: tuple) -> Stopped | None:
    """Where the visitor ended it; None = it was not ended, or has been asked for again."""
    stopped = st.session_state.get(STOPPED)
    return stopped if stopped is not None and stopped.key == key else None


def say_stopped(stopped: Stopped, words: str) -> None:
    """How far it came, beside the button that goes on.  Args: words: as of `Asked`."""
    st.markdown(t(f"{words}.stopped", done=stopped.done, total=stopped.total) if stopped.total else t("app.stopped"))


def is_running() -> bool:
    """From within a callback: whether what it answers to ends a computation."""
    return REACHED in st.session_state


def was_done(key: tuple) -> bool:
    """Whether it is what was computed last: a cache that forgot it must not make the page ask for ever."""
    return st.session_state.get(DONE) == key


def run_asked(place: DeltaGenerator) -> None:
    """Compute what was asked for, saying how far it is; Stop ends it there. Then the page draws the result.

    Args:    place: where progress and Stop stand, outside of every fragment.
    """
    asked = st.session_state.pop(ASKED, None)
    st.session_state.pop(REACHED, None)  # of one that something else ended
    if asked is None:
        return
    with place.container(horizontal=True, vertical_alignment="center"):
        bar = st.progress(0.0, t("app.working"))
        st.button(t("app.stop"), key="stop_asked", icon=":material/stop:", on_click=_stop, args=(asked.key,))
    started = time.perf_counter()
    st.session_state[REACHED] = (0, 0)

    def progress(done: int, total: int) -> None:
        st.session_state[REACHED] = (done, total)
        left = (time.perf_counter() - started) / done * (total - done)
        bar.progress(done / total, t(f"{asked.words}.progress", done=done, total=total, left=f"{left:.0f}"))

    asked.work(progress)
    del st.session_state[REACHED]
    st.session_state[DONE] = asked.key
    st.rerun()


def _stop(key: tuple) -> None:
    done, total = st.session_state.get(REACHED, (0, 0))
    st.session_state[STOPPED] = Stopped(key=key, done=done, total=total)
