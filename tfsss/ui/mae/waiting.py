"""Several computations one after another, with how far they are and a way to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from tfsss.ui.language import t

QUIET_S = 0.3  # before anything is said about waiting
STOPPED = "_mae_stopped"


def one_by_one(items: Sequence[Any], compute: Callable[[Any], Any], *, key: tuple, words: str) -> list | None:
    """`compute` for each item, in this run of the script; what it keeps in the cache is there when it goes on.

    Args:    key: of all of it; words: id of the sentence, with fields done, total, left.
    Returns: the results, or None when the visitor stopped it; a button to go on stands there instead.
    """
    if st.session_state.get(STOPPED) == key:
        st.button(t("mae.go_on"), key="mae_go_on", icon=":material/play_arrow:", on_click=_set, args=(None,))
        return None
    started, place, made = time.perf_counter(), st.empty(), []
    for done, item in enumerate(items, 1):
        made.append(compute(item))
        passed = time.perf_counter() - started
        if passed > QUIET_S and done < len(items):
            with place.container(horizontal=True, vertical_alignment="center"):
                left = passed / done * (len(items) - done)
                st.progress(done / len(items), t(words, done=done, total=len(items), left=f"{left:.1f}"))
                st.button(t("app.stop"), key=f"mae_stop_{done}", icon=":material/stop:", on_click=_set, args=(key,))
    place.empty()
    return made


def _set(key: tuple | None) -> None:
    st.session_state[STOPPED] = key
