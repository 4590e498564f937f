"""What the sandbox shows of a mask, whichever model runs: its four conventions, and scores to softmax in one head."""

from __future__ import annotations

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tfsss.explain import masks
from tfsss.explain.strings import OneHead
from tfsss.figures.numbers import Numbers
from tfsss.ui import state
from tfsss.ui.language import t
from tfsss.ui.masks import show, typed
from tfsss.ui.masks.show import say
from tfsss.ui.masks.together import together


def layer_head(place: DeltaGenerator, depth: int, heads: int) -> tuple[int, int]:
    """Layer and head, folded."""
    shown = {name: st.session_state.get(f"masks_{name}", default) for name, default in (("layer", 1), ("head", 0))}
    with place.popover(t("masks.layer_head", **shown), width="stretch"):
        layer = state.slide("masks", "layer", 0, depth - 1, 1)
        head = state.slide("masks", "head", 0, heads - 1, 0)
    return layer, head


def conventions(made: masks.Mask, row: int, names: tuple[tuple[str, ...], tuple[str, ...]]) -> tuple[str, list]:
    """One row of the batch's mask in the four ways in which code writes it.  Args: names: queries, keys."""
    tables = []
    for name, tensor in masks.conventions(made)._asdict().items():
        values = tensor[row]
        if values.dtype == bool:
            values = np.where(values, "T", "F")
        tables.append(Numbers(title=t(f"masks.convention.{name}"), values=values, rows=tuple(map(short, names[0])),
                              columns=tuple(map(short, names[1])), digits=0, allowed=made.allowed[row],
                              roles=("query", "key"), shape=str(tensor.dtype)))
    html = say(t("masks.mask.says", mask=typed.said(made.groups), made=made.shape, shape=made.allowed.shape,
                 rows=int(made.blocked_rows[row].sum())), shape=made.shape)
    return html + together(*tables) + say(t("masks.mask.who")), [tables[:2], tables[2:]]


def attention(made: masks.Mask, one: OneHead) -> tuple[str, list]:
    """Scores, masked, softmax."""
    end = float(np.abs(one.scores).max()) or 1.0
    names = {"rows": tuple(map(short, one.queries)), "columns": tuple(map(short, one.keys)),
             "roles": ("query", "key")}
    scores = Numbers(title=t("masks.scaled"), values=one.scores, scale="signed", vmax=end, digits=1, **names)
    masked = Numbers(title=t("masks.masked"), values=one.masked, scale="signed", vmax=end, digits=1,
                     allowed=one.allowed, **names)
    weights = weights_map(t("masks.weights"), one.weights, one, one.allowed)
    off = int((one.allowed & (one.weights < 0.005)).sum())
    html = say(t("masks.attention.says", mask=typed.said(made.groups), blocked=int((~one.allowed).sum()),
                 cells=one.allowed.size, zero=off), blocked=int((~one.allowed).sum()))
    html += together(scores, masked, weights)
    html += f'<div class="across">{show.bar(scores, t("masks.scaled"))}{show.bar(weights, t("masks.weights"))}</div>'
    return html, [[scores, masked], [weights]]


def weights_map(title: str, values: np.ndarray, one: OneHead, allowed: np.ndarray) -> Numbers:
    """Weights between the head's queries and keys."""
    return Numbers(title=title, values=values, allowed=allowed, scale="viridis", vmax=1.0, roles=("query", "key"),
                   rows=tuple(map(short, one.queries)), columns=tuple(map(short, one.keys)))


def short(symbol: str) -> str:
    """<pad> as a cell can hold it."""
    return {"<pad>": "pad", "[PAD]": "pad", "<start>": "▸", "<end>": "■"}.get(symbol, symbol)
