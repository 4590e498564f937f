"""The Position page's controls: the kind and its views, five others in a row under them, the rest folded."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from tfsss.ui import chooser, state
from tfsss.ui.language import t
from tfsss.ui.position.chosen import KINDS, SEQUENCES, VIEWS, Chosen, asked
from tfsss.ui.swin.subject import current_model as current_swin
from tfsss.weights import Entry

ROOM = "position"
OPPOSITE = {"learned": "sincos_2d", "relative": "alibi"}  # what a kind is compared with first, if not "learned"
LATE = ("head", "patch", "query", "key_token")  # their ends depend on the other controls
FROM_SWIN = ("window_rows", "window_columns", "heads", "seed")  # that a trained bias table leaves no choice of
MOST_WINDOW, MOST_TRAINED = 18, 40  # sides whose pairs, and whose positions, are still drawn
MOST_IN_ROW = 5  # controls; the rest is folded
BASES = (2, 10, 100, 1000, 10_000, 100_000, 1_000_000)


def choose_view() -> tuple[str, str]:
    """Draw the choice of the kind and of its views, and say what is chosen."""
    with st.container(key="position_which"):
        kind = state.choice(ROOM, "kind", KINDS, kind="select")
        wanted = st.query_params.get("view")
        view = state.choice(ROOM, "view", VIEWS[kind], hide_label=True)
    if wanted in {name for names in VIEWS.values() for name in names} - set(VIEWS[kind]):
        st.caption(t("position.no_view", wanted=t(f"position.view.{wanted}"), kind=t(f"position.kind.{kind}"),
                     view=t(f"position.view.{view}")))
    return kind, view


def choose(kind: str, view: str) -> Chosen:
    """Draw the controls that this kind and view need, and say what they are set to."""
    row = st.container(key="controls_position")
    values: dict[str, object] = {"kind": kind, "view": view, "other": kind, "weights": ""}
    if view == "compare":
        with row:
            values["other"] = state.choice(ROOM, "other", [name for name in KINDS if name != kind], kind="select",
                                           default=OPPOSITE.get(kind, "learned"), show=_kind_name)
    if "learned" in (kind, values["other"]):
        entry = chooser.current_vit().entry
        side = entry.input_size // entry.config.patch_size
        values |= {"weights": entry.id, "input_grid": (side, side), "trained_grid": entry.config.grid}
    free = MOST_IN_ROW - (view == "compare")
    if has_trained_table(kind, values["other"]):
        free -= 1
        with row:
            values |= bias_table()
    names = [name for name in asked(kind, view, values["other"]) if name != "other" and _is_needed(name, values)]
    late, place = {}, row
    for number, name in enumerate(names):
        if number == free:
            place = row.popover(t("position.more"), width="stretch")
        if name in LATE:
            late[name] = place.container()
            continue
        with place:
            values[name] = CONTROLS[name](values)
    for name, kept in late.items():
        with kept:
            values[name] = CONTROLS[name](values)
    return Chosen(**values)


def has_trained_table(kind: str, other: str) -> bool:
    """Whether Swin's bias is asked for, and lies on its own window, not on the grid of what it is compared with."""
    on_its_window = kind == "relative" and other != "learned" or other == "relative" and kind in SEQUENCES
    return on_its_window and current_swin().entry.config.window_size <= MOST_WINDOW


def bias_table() -> dict[str, object]:
    """Whose bias table: a random one of any window, or that of a block of the Swin in use, whose window it has."""
    entry = current_swin().entry
    config, names = entry.config, {"random": t("position.table_of.random")}
    if entry.weights == "trained":
        names |= {f"{stage}.{block}": t("position.table_of.block", stage=stage, block=block)
                  for stage, depth in enumerate(config.depths) for block in range(depth)}
    chosen = state.choice(ROOM, "table_of", list(names), kind="select", show=names.get,
                          default="0.0" if entry.kind == "file" else "random", help=t("position.table_of.help"))
    if chosen == "random":
        return {}
    return {"table_of": chosen, "swin": entry.id, "window_rows": config.window_size,
            "window_columns": config.window_size, "heads": config.num_heads[int(chosen.split(".")[0])]}


def entry_of(chosen: Chosen) -> Entry | None:
    """The weights that are drawn; None = a formula, or a random table."""
    if chosen.weights:
        return chooser.current_vit().entry
    return current_swin().entry if chosen.swin else None


def _kind_name(kind: str) -> str:
    return t(f"position.kind.{kind}")


def _is_needed(name: str, values: dict) -> bool:
    """Whether there is a choice: of a table, where the trained grid is another than the picture's and can be drawn."""
    if name == "table":
        return values["input_grid"] != values["trained_grid"] and values["trained_grid"][0] <= MOST_TRAINED
    return not ("swin" in values and name in FROM_SWIN)


def _slide(name: str, low: int, high: int, default: int, step: int = 1) -> Callable[[dict], object]:
    return lambda values: state.slide(ROOM, name, low, high, default, step=step)


def _choice(name: str, *options: str) -> Callable[[dict], object]:
    return lambda values: state.choice(ROOM, name, options, kind="select")


def _head(values: dict) -> int:
    return state.slide(ROOM, "head", 0, values.get("heads", Chosen.heads) - 1, 0)


def _token(name: str, default: int) -> Callable[[dict], object]:
    def draw(values: dict) -> int:
        last = values["window_rows"] * values["window_columns"] - 1
        return state.slide(ROOM, name, 0, last, min(default, last))
    return draw


def _patch(values: dict) -> int | None:
    rows, columns = Chosen(**values).grid
    return state.number(ROOM, "patch", 0, rows * columns - 1, None, help=t("position.patch.help"))


CONTROLS: dict[str, Callable[[dict], object]] = {
    "length": _slide("length", 8, 512, Chosen.length, 8),
    "width": _slide("width", 8, 512, Chosen.width, 4),
    "base": lambda values: state.among(ROOM, "base", BASES, Chosen.base),
    "rows": _slide("rows", 2, 18, Chosen.rows),
    "columns": _slide("columns", 2, 18, Chosen.columns),
    "order": _choice("order", "xy", "yx"),
    "layout": _choice("layout", "concatenated", "interleaved"),
    "table": _choice("table", "used", "trained"),
    "pairing": _choice("pairing", "interleaved", "halves"),
    "heads": _slide("heads", 1, 16, Chosen.heads),
    "head": _head,
    "symmetric": lambda values: state.switch(ROOM, "symmetric"),
    "window_rows": _slide("window_rows", 2, 8, Chosen.window_rows),
    "window_columns": _slide("window_columns", 2, 8, Chosen.window_columns),
    "seed": _slide("seed", 0, 9, Chosen.seed),
    "measure": _choice("measure", "cosine", "dot"),
    "channels": lambda values: state.words(ROOM, "channels", max_chars=60, help=t("position.channels.help")),
    "patch": _patch,
    "new_rows": _slide("new_rows", 2, 40, Chosen.new_rows),
    "new_columns": _slide("new_columns", 2, 40, Chosen.new_columns),
    "antialias": lambda values: state.switch(ROOM, "antialias", help=t("position.antialias.help")),
    "past": _slide("past", 0, 256, Chosen.past, 8),
    "past_rows": _slide("past_rows", 0, 16, Chosen.past_rows),
    "query_at": _slide("query_at", 0, 60, Chosen.query_at),
    "key_at": _slide("key_at", 0, 60, Chosen.key_at),
    "shift": _slide("shift", 0, 1000, Chosen.shift),
    "query": _token("query", Chosen.query),
    "key_token": _token("key_token", Chosen.key_token),
}
