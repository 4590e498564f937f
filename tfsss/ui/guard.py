"""Errors are for people: one clear sentence for bad input, a short apology and a log entry for a bug."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from tfsss.errors import InputError
from tfsss.ui.language import language, t

log = logging.getLogger("tfsss")


@contextmanager
def guard() -> Iterator[None]:
    """Show what goes wrong inside the block as a sentence; what was drawn before it stays."""
    try:
        yield
    except InputError as error:
        say(error)
    except Exception:
        log.exception("a page failed")
        st.error(t("app.bug"), icon=":material/error:")


def say(error: InputError) -> None:
    """The sentence of an `InputError`, in the visitor's language."""
    st.warning(error.sentence(language()), icon=":material/info:")
