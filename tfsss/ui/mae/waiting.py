"""Several computations one after another: a moment's worth of them at once, the rest where they can be stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from tfsss.ui import waiting
from tfsss.ui.language import t

PATIENCE_S = 1.0


def one_by_one(items: Sequence[Any], compute: Callable[[Any], Any], *, key: tuple, words: str) -> list | None:
    """`compute` for each item; it keeps what it makes in a cache, where the next run of the script finds it.

    Args:    key: of all of it; words: as of `waiting.Asked`.
    Returns: the results, or None while they are computed, and when the visitor stopped it: then a button goes on.
    """
    def work(progress: waiting.Progress) -> None:
        for done, item in enumerate(items, 1):
            compute(item)
            progress(done, len(items))

    if waiting.is_asked(key):
        return None
    if stopped := waiting.was_stopped(key):
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button(t("mae.go_on"), key="mae_go_on", icon=":material/play_arrow:"):
                waiting.ask(key, work, words)
            waiting.say_stopped(stopped, words)
        return None
    started, made = time.perf_counter(), []
    for item in items:
        if time.perf_counter() - started > PATIENCE_S and not waiting.was_done(key):
            waiting.ask(key, work, words)
        made.append(compute(item))
    return made
