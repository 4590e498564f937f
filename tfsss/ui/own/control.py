"""The visitor's own weights in the sidebar: three ways to bring them, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from tfsss.errors import InputError
from tfsss.ui import guard, state
from tfsss.ui.catalog import CATALOG
from tfsss.ui.language import t
from tfsss.ui.own import session, sources
from tfsss.ui.own.session import CONTROLS, LATEST, SOURCE, Found, Own
from tfsss.ui.own.sources import OFFER
from tfsss.ui.own.words import described
from tfsss.weights import hub, visitors

WAYS = ("upload", "path", "hub")
FROM = {"path": sources.on_server, "hub": sources.from_hub}
NEXT = "_own_next"  # a step asked for by a click, and the number of heads: taken before the page is drawn
SAID = "_own_said"  # the page, and what came of the last step on it: an error, or weights that it cannot run
COUNT = "_own_count"  # of uploads: each has a field of its own, so that the last one's files are given up


def settle(page_id: str, families: tuple[str, ...]) -> None:
    """Before a page is drawn: open what was asked for by a click, or by the address."""
    if st.session_state.get(SAID, ("",))[0] != page_id:
        st.session_state.pop(SAID, None)
    if asked := st.session_state.pop(NEXT, None):
        step, heads = asked
        attempt(step, page_id, families, heads)
    for family in families:
        room, name = CONTROLS[family]
        text = st.query_params.get(name, "")
        is_new = text != st.session_state.get(state.WRITTEN, {}).get(f"{room}_{name}")
        if is_new and text not in session.opened() and (found := SOURCE.fullmatch(text)):
            follow(found, page_id, families)
            if text not in session.opened():
                del st.query_params[name]  # or it would be tried again and again


def follow(found: re.Match[str], page_id: str, families: tuple[str, ...]) -> None:
    """Open what a link names.  Args: found: of SOURCE."""
    kind, place, heads = found.group(2), found.group(3), found.group(4)
    if kind == "upload":
        st.session_state[SAID] = page_id, InputError("own.not_in_link")
    else:
        attempt(partial(FROM[kind], place), page_id, families, int(heads) if heads else None)


def attempt(step: Callable[[], Found | None], page_id: str, families: tuple[str, ...],
            heads: int | None = None) -> None:
    """Take a step to a file, and read what it leads to. What goes wrong is kept as a sentence."""
    for key in (SAID, OFFER):
        st.session_state.pop(key, None)
    try:
        found = step()
        if found is None:
            return
        st.session_state[LATEST] = found
        with st.spinner(t("own.opening")):
            own = session.read(found, heads)
    except InputError as error:
        st.session_state[SAID] = page_id, error
        return
    if not any(own.serves(family) for family in families):
        st.session_state[SAID] = page_id, own


def bring() -> None:
    """The folded ways."""
    with st.expander(t("own.title"), icon=":material/deployed_code:"), st.container(key="own_ways"):
        names = {way: t(f"own.way.{way}") for way in WAYS}
        way = st.segmented_control(t("own.way"), WAYS, format_func=names.get, key="own_way", default=WAYS[0],
                                   required=True, label_visibility="collapsed")
        {"upload": upload_field, "path": path_field, "hub": hub_field}[way]()


def tell(families: tuple[str, ...], running: Callable[[], str]) -> None:
    """What came of it, and what runs.  Args: running: the names of what the page runs."""
    _, said = st.session_state.get(SAID, ("", None))
    if isinstance(said, InputError):
        guard.say(said)
        st.caption(t("own.kept", names=running()))
        if said.error_id == "own.not_fetched":
            ask("look", t("own.look_up", name=said.numbers["name"]), partial(sources.look_up, said.numbers["name"]))
    elif said is not None:
        elsewhere(said, families, running)
    if offer := st.session_state.get(OFFER):
        st.caption(t("own.offer", name=offer.name, files=", ".join(offer.files)))
        ask("fetch", t("own.fetch", megabytes=round(offer.size_bytes / 1e6)), partial(sources.fetch, offer))
    shown = {own.source: family for family in families if (own := session.chosen(family))}
    for source, family in shown.items():
        about(session.opened()[source], family)
    heads_field([session.opened()[source] for source in shown])


def ask(key: str, label: str, step: Callable[[], Found | None]) -> None:
    """A button; the step is taken before the next page is drawn."""
    st.button(label, key=f"own_{key}", width="stretch", on_click=take, args=(step,))


def take(step: Callable[[], Found | None], heads: int | None = None) -> None:
    """Ask for a step."""
    st.session_state[NEXT] = step, heads


def upload_field() -> None:
    """Files from the visitor's machine."""
    key = f"own_upload_{st.session_state.setdefault(COUNT, 0)}"
    st.html(f"<style>{uploader_css()}</style>")
    with st.container(key="own_upload"):
        st.file_uploader(t("own.upload"), key=key, type=None, accept_multiple_files=True, on_change=_take_upload,
                         args=(key,), label_visibility="collapsed", max_upload_size=visitors.MAX_MEGABYTES)
    st.caption(t("own.upload.about", limit=visitors.MAX_MEGABYTES))


def _take_upload(key: str) -> None:
    if files := st.session_state[key]:
        st.session_state[COUNT] += 1
        take(partial(sources.upload, files))


def uploader_css() -> str:
    """Streamlit's uploader speaks English only: its words give way to ours."""
    zone, refused = ".st-key-own_upload [data-testid=stFileUploaderDropzone]", ".st-key-own_upload:has([aria-invalid])"
    return f"""{refused}::after {{ content: "{t("own.not_sent", limit=visitors.MAX_MEGABYTES)}"; }}
{zone} button p {{ font-size: 0; }}
{zone} button p::after {{ content: "{t("own.upload")}"; font-size: 0.9rem; }}
{zone} [data-testid=stFileUploaderDropzoneInstructions] {{ display: none; }}"""


def path_field() -> None:
    """A file in the folder that the host of the server opens."""
    if visitors.folder() is None:
        st.caption(t("own.path.closed", variable=visitors.FOLDER))
        return
    there = visitors.listed()
    if not there:
        st.caption(t("own.path.empty", variable=visitors.FOLDER))
        return
    path = st.selectbox(t("own.path"), there, index=None, key="own_path", placeholder=t("own.path.choose"),
                        label_visibility="collapsed")
    if path is not None and f"path:{path}" not in {own.found.source for own in session.opened().values()}:
        ask("open", t("own.open"), partial(sources.on_server, path))
    st.caption(t("own.path.about"))


def hub_field() -> None:
    """A repository of the Hugging Face hub."""
    if not hub.is_installed():
        st.caption(t("own.hub.missing"))
        return
    st.text_input(t("own.hub"), key="own_hub", placeholder="google/vit-base-patch16-224", max_chars=200,
                  on_change=_take_name)
    st.caption(t("own.hub.about", limit=visitors.MAX_MEGABYTES))


def _take_name() -> None:
    if name := st.session_state["own_hub"].strip().removeprefix("hub:"):
        take(partial(sources.look_up, name))


def elsewhere(own: Own, families: tuple[str, ...], running: Callable[[], str]) -> None:
    """Weights of another family than the page runs: why, and the pages that can."""
    facts = own.entry.facts
    if (own.entry.family, families) == ("vit", ("mae",)):
        guard.say(InputError("checkpoint.no_decoder", file=own.found.label, source=facts["source"]))
    else:
        st.info(t("own.elsewhere", name=own.found.label, found=t(f"own.family.{own.entry.family}"),
                  wanted=t("own.or").join(t(f"own.family.{family}") for family in families)))
    st.caption(t("own.kept", names=running()))
    if not facts["uses"]:
        st.caption(t("own.no_page"))
    for listed in CATALOG:
        if listed.id in facts["uses"]:
            st.page_link(listed.path, label=t("own.use_on", page=t(f"{listed.id}.name")), icon=listed.icon)


def about(own: Own, family: str) -> None:
    """What runs: everything that was found and that was assumed, and a way to give it up."""
    with st.container(key=f"own_about_{family}", gap="small"):
        st.caption("\n\n".join([*described(own.loaded(family).entry),
                                t(f"own.link.{own.found.source.split(':')[0]}")]))
        st.button(t("own.close"), key=f"own_close_{own.source}", on_click=session.close, args=(own,),
                  icon=":material/close:", width="stretch")


def heads_field(running: Sequence[Own]) -> None:
    """The number of heads of the file that was tried last, where the file does not tell."""
    found: Found | None = st.session_state.get(LATEST)
    _, said = st.session_state.get(SAID, ("", None))
    refused = isinstance(said, InputError) and said.error_id == "checkpoint.heads"
    own = next((own for own in running if found and own.found.source == found.source), None)
    if refused or own is not None and (own.heads or "num_heads" in own.entry.facts["assumed"]):
        key = f"own_heads_{found.key[:12]}"
        st.session_state.setdefault(key, own.heads if own else None)
        st.number_input(t("own.heads", name=found.label), 1, 64, value=None, step=1, key=key, help=t("own.heads.help"),
                        placeholder=str(own.entry.config.num_heads) if own else None, on_change=_take_heads,
                        args=(found, key))


def _take_heads(found: Found, key: str) -> None:
    take(lambda: found, st.session_state[key])
