"""The visitor's language, and every sentence in it."""

from __future__ import annotations

import json
from functools import cache

import streamlit as st

from tfsss.errors import TEXT
from tfsss.weights.registry import BUNDLED, Entry

LANGUAGES = {"en": "English", "zh": "中文"}


@cache
def sentences(language: str, room: str) -> dict[str, str]:
    """What `assets/text/<language>/<room>.json` holds."""
    return json.loads((TEXT / language / f"{room}.json").read_text(encoding="utf-8"))


def first_language() -> str:
    """What the browser asks for, on a first visit."""
    return "zh" if (st.context.locale or "").lower().startswith("zh") else "en"


def language() -> str:
    """ "en" or "zh", as the control in the sidebar says."""
    return st.session_state.get("lang") or first_language()


def t(text_id: str, **fields: object) -> str:
    """The sentence in the visitor's language: `t("patches.title")` is the key `title` of `patches.json`."""
    room, name = text_id.split(".", 1)
    return sentences(language(), room)[name].format(**fields)


def weights_name(entry: Entry) -> str:
    """What weights are called: a name of their own, or for those trained here a description."""
    return t(f"app.weights.name.{entry.id}") if entry.id in BUNDLED else entry.name
