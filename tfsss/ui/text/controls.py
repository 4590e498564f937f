"""What a visitor types and chooses: texts, examples, layer and head, and the token whose row stays."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tfsss.ui import state
from tfsss.ui.language import t
from tfsss.ui.text.subject import ROOM, Subject

NONE = "none"
LAYER, HEAD = 5, 11  # what is shown first: the head in which "it" looks at "animal"
EXAMPLES = {
    "pronoun": ("The animal didn't cross the street because it was too tired.", "The cat was asleep."),
    "one_word": ("The animal didn't cross the street because it was too wide.",
                 "The animal didn't cross the street because it was too tired."),
    "bank": ("She sat on the bank of the river.", "He paid the money into the bank."),
    "paraphrase": ("A man is playing a guitar on stage.", "Someone performs music."),
    "order": ("The dog bit the man.", "The man bit the dog."),
    "opposite": ("I love this film.", "I hate this film."),
    "question": ("How old are you?", "I am thirty years old."),
    "pieces": ("Antidisestablishmentarianism is unpronounceable.", "Tokenizers cut rare words."),
    "chinese": ("猫坐在垫子上。", "The cat sits on the mat."),
}


def first() -> str:
    """The first text."""
    return _whole(state.words(ROOM, "first", EXAMPLES["pronoun"][0], max_chars=240, help=t("text.first.help")))


def second() -> str:
    """The second text."""
    return _whole(state.words(ROOM, "second", EXAMPLES["pronoun"][1], max_chars=240, help=t("text.first.help")))


def _whole(text: str) -> str:
    """The text, and below its field all of it for a class that guesses: the field ends before it does."""
    if st.session_state["app_predict"]:
        st.text(text)
    return text


def two(*widths: float) -> tuple[str, str, Sequence[DeltaGenerator]]:
    """Both texts and the examples, and places of these widths behind them in the row."""
    left, right, more, *places = st.columns([3.2, 3.2, 1.65, *widths], vertical_alignment="bottom")
    with left:
        one = first()
    with right:
        other = second()
    with more:
        examples()
    return one, other, places


def examples() -> None:
    """Texts to begin with, each pair worth a look."""
    with st.popover(t("text.examples"), width="stretch"):
        for name in EXAMPLES:
            st.button(t(f"text.example.{name}"), key=f"text_example_{name}", on_click=_take, args=(name,),
                      width="stretch")


def _take(name: str) -> None:
    st.session_state["text_first"], st.session_state["text_second"] = EXAMPLES[name]
    st.session_state["text_token"] = NONE


def layer_head(subject: Subject) -> tuple[int, int]:
    """Layer and head, folded: the small maps choose them too."""
    config = subject.loaded.entry.config
    _take_clicked_map(config.num_heads)
    shown = [st.session_state.get(f"text_{name}", default) for name, default in (("layer", LAYER), ("head", HEAD))]
    with st.popover(t("text.layer_head", layer=shown[0], head=shown[1]), width="stretch"):
        layer = state.slide(ROOM, "layer", 0, config.depth - 1, LAYER, help=t("text.layer.help"))
        head = state.slide(ROOM, "head", 0, config.num_heads - 1, HEAD)
    return layer, head


def _take_clicked_map(heads: int) -> None:
    """A small map that was clicked chooses its layer and head."""
    cell = st.session_state.pop("text_cell", None)
    if cell is not None:
        st.session_state["text_layer"], st.session_state["text_head"] = divmod(cell, heads)


def token(names: Sequence[str]) -> int | None:
    """The token whose row stays, by name and place; it stands in the address."""
    options = [NONE, *map(str, range(len(names)))]
    shown = [t("text.token.none"), *(f"{place}: {name}" for place, name in enumerate(names))]
    chosen = state.choice(ROOM, "token", options, kind="select", help=t("text.token.help"),
                          show=dict(zip(options, shown, strict=True)).get)
    if chosen == NONE:
        st.session_state[state.NOTES].pop(f"{ROOM}_token")  # nobody points at anything in a picture taken away
        return None
    return int(chosen)


def pin(place: int | None) -> None:
    """What the map does when a row is pinned in it."""
    st.session_state["text_token"] = NONE if place is None else str(place)
