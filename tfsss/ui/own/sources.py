"""The three ways to a visitor's own weights, each a step that ends with a file to read, or with a sentence."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from tfsss.errors import InputError
from tfsss.ui.language import t
from tfsss.ui.own import session
from tfsss.ui.own.session import LATEST, Found
from tfsss.ui.own.uploads import FOLDERS, save
from tfsss.weights import hub, visitors

OFFER = "_own_offer"  # what a repository has, until it is fetched


def upload(files: Sequence[UploadedFile]) -> Found:
    """Uploaded files on disk; Streamlit's copy in memory is given up.

    Settings alone join the file that was uploaded last, in a new folder: if they do not fit it, that one stays.
    """
    folder, before = FOLDERS.new(session.session_id()), st.session_state.get(LATEST)
    joins = all(file.name.lower().endswith(".json") for file in files) and before and _has_folder(before)
    if joins:
        for each in before.folder.iterdir():
            os.link(each, folder / each.name)
    try:
        with st.spinner(t("own.opening")):
            path, digest = save(files, folder)
    except InputError:
        FOLDERS.drop(session.session_id(), folder)
        raise
    finally:
        context = get_script_run_ctx()
        for file in files:
            context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)
    is_open = before and any(own.found.source == before.source for own in session.opened().values())
    if before and _has_folder(before) and not is_open:  # it could not be read
        FOLDERS.drop(session.session_id(), before.folder)
    instead_of = None if not joins else before.source if is_open else before.instead_of
    return Found(source=f"upload:{folder.name[-8:]}", label=path.name, path=path, key=digest, folder=folder,
                 instead_of=instead_of)


def _has_folder(found: Found) -> bool:
    return found.folder is not None and found.folder.is_dir()


def on_server(path: str) -> Found:
    """A path from the folder that the host opens."""
    there = visitors.allowed(path)
    return Found(source=f"path:{path}", label=plain(path), path=there, key=_print_of(there))


def from_hub(name: str) -> Found:
    """A repository that was fetched before.  Raises: InputError: it was not."""
    there = hub.kept(name)
    if there is None:
        raise InputError("own.not_fetched", name=name)
    return Found(source=f"hub:{name}", label=name, path=there, key=_print_of(there))


def look_up(name: str) -> Found | None:
    """Ask the hub what a repository has; what was fetched before needs no asking."""
    if hub.kept(name) is not None:
        return from_hub(name)
    st.session_state[OFFER] = waiting(lambda watch: hub.look_up(name, watch), name)
    return None


def fetch(offer: hub.Offer) -> Found:
    """Bring what was offered; stopped, it is still offered."""
    st.session_state[OFFER] = offer
    waiting(lambda watch: hub.fetch(offer, watch), offer.name)
    del st.session_state[OFFER]
    return from_hub(offer.name)


def waiting(work: Callable[[hub.Watch], Any], name: str) -> Any:
    """Do something with the hub in this run of the script; any other click ends it and leaves nothing half-made."""
    place = st.empty()
    with place.container():
        bar = st.progress(0.0, t("own.asking", name=name))
        st.button(t("app.stop"), key="own_stop", width="stretch")

    def watch(done: int, total: int) -> None:
        if total:
            bar.progress(done / total, t("own.fetching", done=round(done / 1e6), total=round(total / 1e6)))
        else:
            bar.progress(0.0, t("own.asking", name=name))

    try:
        return work(watch)
    finally:
        place.empty()


def plain(name: str) -> str:
    """A name that no caption takes for formatting."""
    return re.sub(r"[^\w./+ -]", "_", name)


def _print_of(path: Path) -> str:
    """Changes when the files change: names, sizes and times of all that lie beside each other."""
    folder = path if path.is_dir() else path.parent
    there = sorted((each.name, each.stat().st_size, each.stat().st_mtime_ns) for each in folder.iterdir()
                   if each.suffix in (".json", *visitors.SUFFIXES) and each.is_file())
    return hashlib.sha256(repr((str(path), there)).encode()).hexdigest()
