"""What a session has opened of its visitor's own weights, and which of it each family of models runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from tfsss.errors import InputError
from tfsss.ui import cache
from tfsss.ui.own.uploads import FOLDERS
from tfsss.weights import Entry, Loaded

OPENED = "_own"
LATEST = "_own_latest"  # the file that was tried last: for a number of heads, or a config.json that comes later
MOST = 3  # that a session keeps; what was opened first and is not in use goes
SOURCE = re.compile(r"((upload|path|hub):(.+?))(?:,heads=(\d{1,3}))?", re.DOTALL)
CONTROLS = {"vit": ("app", "weights"), "mae": ("own", "mae"), "swin": ("own", "swin")}  # family -> room, name


@dataclass(frozen=True, kw_only=True)
class Found:
    """A file of weights that a visitor brought, not read yet."""

    source: str  # "upload:1f3a...", "path:dino/vit.pth" or "hub:google/vit-base-patch16-224"
    label: str  # what captions call it
    path: Path  # what `load_checkpoint` takes
    key: str  # of the content, the cache's
    folder: Path | None = None  # of an upload, its own
    instead_of: str | None = None  # source of the same upload without the settings that came later


@dataclass(frozen=True, kw_only=True)
class Own:
    """Weights that were read and are what they should be."""

    found: Found
    heads: int | None  # as the visitor said; None = as the file says, or by habit
    entry: Entry  # as the family that the file is

    @property
    def source(self) -> str:
        """As it stands in the address."""
        return self.found.source + (f",heads={self.heads}" if self.heads else "")

    def serves(self, family: str) -> bool:
        """Whether this family can be run: its own, or of a masked autoencoder the encoder."""
        return family == self.entry.family or (self.entry.family, family) == ("mae", "vit")

    def loaded(self, family: str) -> Loaded:
        """The model, under the visitor's name for it.  Raises: InputError: the file has gone since."""
        if not self.found.path.exists():
            raise InputError("own.gone", name=self.found.label)
        needed = None if family == self.entry.family else family
        made = cache.own_model(self.found.key, needed, self.heads, self.found.path)
        return replace(made, entry=replace(made.entry, name=self.found.label, file=self.found.path))

    def code(self, family: str) -> str:
        """The Python expression for it, where a script lies beside the file or can reach the hub."""
        kind, place = SOURCE.fullmatch(self.found.source).group(2, 3)
        path = f'weights.from_hub("{place}")' if kind == "hub" else repr(self.found.label)
        heads = f", num_heads={self.heads}" if self.heads else ""
        return f'weights.load_checkpoint({path}, "{family}"{heads})'


def opened() -> dict[str, Own]:
    """Source -> weights, as opened one after the other."""
    return st.session_state.setdefault(OPENED, {})


def chosen(family: str) -> Own | None:
    """What this family of models runs of the visitor's own; None = what the app has."""
    return opened().get(st.session_state.get("_".join(CONTROLS[family])))


def read(found: Found, heads: int | None = None) -> Own:
    """Read the file, and choose it for every family that it serves.

    Raises:  InputError: it is nothing that can be shown; what was chosen before stays.
    """
    entry = replace(cache.own_model(found.key, None, heads, found.path).entry, name=found.label)
    own, kept = Own(found=found, heads=heads, entry=entry), opened()
    for each in [each for each in kept.values() if each.found.source in (found.source, found.instead_of)]:
        del kept[each.source]  # the same file, with another number of heads or other settings, or changed since
        if (each.found.key, each.heads) != (found.key, heads):
            _forget(each)
        if each.found.folder not in (None, found.folder):
            FOLDERS.drop(session_id(), each.found.folder)
    kept[own.source] = own
    if found.folder is not None:
        FOLDERS.attach(session_id(), found.folder, partial(_forget, own))
    for family in CONTROLS:
        if own.serves(family):
            st.session_state["_".join(CONTROLS[family])] = own.source
    idle = [each for each in kept.values() if each not in map(chosen, CONTROLS)]
    for each in idle[:max(0, len(kept) - MOST)]:
        close(each)
    return own


def close(own: Own) -> None:
    """Give it up: its file, if it was uploaded, and its memory. A family that ran it runs what the app has."""
    opened().pop(own.source, None)
    if own.found.folder is not None:
        FOLDERS.drop(session_id(), own.found.folder)
    else:
        _forget(own)


def _forget(own: Own) -> None:
    for family in (None, *CONTROLS):
        cache.forget_own_model(own.found.key, family, own.heads)


def session_id() -> str:
    """Of the browser's tab that this run is for."""
    return get_script_run_ctx().session_id
