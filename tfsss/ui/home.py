"""The tiles of Home: one live picture each, made from the visitor's picture, each a door to its page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tfsss.data.images import Picture
from tfsss.explain import attention, position
from tfsss.explain.rollout import rollout
from tfsss.explain.sentence import sentence, words_of
from tfsss.explain.swin import windows
from tfsss.figures.masked import enlarged, hatched, pair
from tfsss.figures.numbers import Numbers, numbers_png
from tfsss.figures.overlay import overlay_jpeg
from tfsss.figures.tiles import exploded, similarity_tiles
from tfsss.figures.windows import tinted
from tfsss.ui import cache, catalog, frame, state
from tfsss.ui.language import t
from tfsss.ui.mae.subject import Chosen, Subject, current_model
from tfsss.ui.masks import typed
from tfsss.weights import Loaded

ROLLED = {"first": "1", "discard": "0.9"}  # of the attention tile's rollout, as the Attention page has them


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One picture on Home.

    draw:    picture and model to (bytes, format, alternative text, caption).
    opens:   the page's controls at which it shows the same; empty = as it opens by itself.
    needs_forward: whether it shows something of the vision transformer's forward; these are drawn last.
    """

    page: str
    draw: Callable[[Picture, Loaded], tuple[bytes, str, str, str]]
    opens: Mapping[str, str] = field(default_factory=dict)
    needs_forward: bool = False


def door(tile: Tile) -> DeltaGenerator:
    """The tile with its question, a link.  Returns: the place of its picture."""
    with st.container(key=f"tile_{tile.page}", border=True):
        st.page_link(f"pages/{tile.page}.py", label=f"**{t(f'{tile.page}.title')}**",
                     icon=catalog.listed(tile.page).icon, query_params=tile.opens)
        if tile.page == "masks":
            typed.text()
        return st.empty()


def traced(picture: Picture, loaded: Loaded) -> tuple[attention.Trace, float]:
    """The one forward that Home needs, and its milliseconds."""
    return cache.traced(picture, loaded)


def patches_tile(picture: Picture, loaded: Loaded) -> tuple[bytes, str, str, str]:
    size, patch, theme = loaded.entry.input_size, loaded.entry.config.patch_size, frame.theme()
    pixels = cache.fitted(picture, size, size)
    ground = "#14171B" if theme == "dark" else "#FFFFFF"
    image = cache.computed(("home_patches", picture.digest, size, patch, theme),
                           lambda: exploded(pixels, patch, gap=max(2, patch // 4), background=ground))
    grid = size // patch
    words = {"rows": grid, "columns": grid, "patch": patch, "count": grid**2, "values": 3 * patch**2}
    return image, "JPEG", t("home.patches.alt", **words), t("home.patches.caption", **words)


def swin_tile(picture: Picture, loaded: Loaded) -> tuple[bytes, str, str, str]:
    side, window, cell = 28, 7, 8
    pixels = cache.fitted(picture, side * cell, side * cell)
    ground = "#14171B" if frame.theme() == "dark" else "#FFFFFF"

    def draw() -> tuple[bytes, int, int]:
        cut = windows((side, side), window)
        held = {step.name: step.window for step in cut.steps}
        before, after = (tinted(pixels, held[name].reshape(cut.padded)) for name in ("partition", "mask"))
        return pair(before, after, gap=8, ground=ground), len(cut.tokens), cut.shift

    image, count, shift = cache.computed(("home_swin", picture.digest, ground), draw)
    words = {"count": count, "window": window, "shift": shift}
    return image, "JPEG", t("home.swin.alt", **words), t("home.swin.caption", **words)


def attention_tile(picture: Picture, loaded: Loaded) -> tuple[bytes, str, str, str]:
    forward, _ = traced(picture, loaded)
    size = loaded.entry.input_size
    pixels = cache.fitted(picture, size, size)
    first, query = min(int(ROLLED["first"]), len(forward.weights) - 1), "class" if forward.class_token else "mean"

    def draw() -> tuple[bytes, tuple[int, int], float]:
        rolled = rollout(forward, first=first, discard=float(ROLLED["discard"])).matrix
        shares = attention.on_grid(forward, attention.of_query(forward, rolled, query))
        shares = shares / shares.sum()
        strongest = divmod(int(shares.argmax()), shares.shape[1])
        return overlay_jpeg(pixels, shares, strength=0.62), strongest, float(shares.max())

    image, (row, column), largest = cache.computed(("home_attention", loaded.entry.id, picture.digest), draw)
    words = {"row": row, "column": column, "percent": f"{largest * 100:.1f}", "first": first,
             "query": t(f"home.attention.{query}")}
    return image, "JPEG", t("home.attention.alt", **words), t("home.attention.caption", **words)


def position_tile(picture: Picture, loaded: Loaded) -> tuple[bytes, str, str, str]:
    def draw() -> tuple[bytes, tuple[int, int]]:
        pairs = position.similarity(position.learned(loaded))
        return similarity_tiles(position.tiles(pairs), zoom=2), pairs.grid

    image, grid = cache.computed(("home_position", loaded.entry.id), draw)
    words = {"rows": grid[0], "columns": grid[1]}
    made = t(f"home.position.{loaded.entry.config.pos_embed}")  # an MAE's are fixed
    return image, "PNG", t("home.position.alt", **words), t("home.position.caption", made=made, **words)


def mae_tile(picture: Picture, loaded: Loaded) -> tuple[bytes, str, str, str]:
    guesser, ground = current_model(), "#14171B" if frame.theme() == "dark" else "#FFFFFF"
    subject = Subject(loaded=guesser, picture=picture, pixels=cache.fitted(picture, *[guesser.entry.input_size] * 2))

    def draw() -> tuple[bytes, int, float]:
        made = subject.guess(Chosen())[0]
        label = "untrained" if subject.untrained else ""
        image = pair(hatched(made.original, made.mask), enlarged(made.pasted, 2), gap=8, ground=ground, label=label)
        return image, int(made.mask.sum()), made.loss_masked

    image, removed, loss = cache.computed(("home_mae", *subject.key, ground), draw)
    words = {"removed": removed, "cells": subject.cells, "loss": f"{loss:.2f}"}
    return image, "JPEG", t("home.mae.alt", **words), t(f"home.mae.{'untrained' if subject.untrained else 'caption'}",
                                                        **words)


def masks_tile(picture: Picture, loaded: Loaded) -> tuple[bytes, str, str, str]:
    words, theme = words_of(st.session_state[state.KEPT]["masks_sentence"]), frame.theme()

    def draw() -> tuple[bytes, str]:
        shown = sentence(words, allowed=np.tri(len(words), dtype=bool))
        weights, side = shown.whole.weights[0], 560 // (len(words) + 1)
        table = Numbers(title="", values=weights, rows=words, columns=words, allowed=shown.allowed, scale="viridis",
                        vmax=1.0, roles=("query", "key"))
        rows = "; ".join(" ".join(f"{value:.2f}" for value in row[: place + 1]) for place, row in enumerate(weights))
        return numbers_png([[table]], theme=theme, cell=(side, side * 3 // 5)), rows

    image, rows = cache.computed(("home_masks", words, theme), draw)
    return image, "PNG", t("home.masks.alt", words=" ".join(words), rows=rows), t("home.masks.caption")


TILES = (
    Tile(page="patches", draw=patches_tile),
    Tile(page="swin", draw=swin_tile),
    Tile(page="attention", draw=attention_tile, opens={"view": "methods"} | ROLLED, needs_forward=True),
    Tile(page="position", draw=position_tile),
    Tile(page="masks", draw=masks_tile),
    Tile(page="mae", draw=mae_tile),
)
