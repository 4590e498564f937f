"""The only place that remembers: models, pictures, traces. Every cache is bounded, every key complete."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from torch import Tensor

from tfsss import weights
from tfsss.data.images import Picture, bundled, fit, load_image
from tfsss.explain.attention import Trace, trace
from tfsss.explain.inputs import normalise
from tfsss.weights import Loaded

_turn = threading.Semaphore(2)  # thirty visitors' cache misses wait in line; two at once: see `begin`
_mine = threading.local()  # held: whether it is this thread's turn


@contextmanager
def _in_turn() -> Iterator[None]:
    """Around a computation: wait for a turn."""
    with _turn:
        _mine.held = True
        try:
            yield
        finally:
            _mine.held = False


@contextmanager
def _without_turn() -> Iterator[None]:
    """Around asking a cache: whoever has a turn gives it up meanwhile.

    One computation may need another. Streamlit lets one thread compute a value and has the others wait for it; if that
    thread waited for a turn, and those who have one for the value, none would ever end.
    """
    if not getattr(_mine, "held", False):
        yield
        return
    _mine.held = False
    _turn.release()
    try:
        yield
    finally:
        _turn.acquire()
        _mine.held = True


def begin(ask: Callable[[], object]) -> None:
    """Begin what the page will ask a cache for, on another core, while the page draws what does not need it.

    The thread has no part in Streamlit's run: with its context there, a run that Back had begun sometimes never ended.

    Args:    ask: asks the cache. What it raises, the page's own question raises again.
    """
    beside = ThreadPoolExecutor(1)
    beside.submit(ask)
    beside.shutdown(wait=False)


@st.cache_resource(max_entries=6, show_spinner=False)
def _model(weights_id: str) -> Loaded:
    with _in_turn():
        return weights.load(weights_id)


def model(weights_id: str) -> Loaded:
    """A model with its weights, shared by every session, never changed."""
    with _without_turn():
        return _model(weights_id)


@st.cache_resource(max_entries=3, show_spinner=False)
def _own_model(key: str, family: str | None, heads: int | None, _path: Path) -> Loaded:
    with _in_turn():
        return weights.load_checkpoint(_path, family, num_heads=heads)


def own_model(key: str, family: str | None, heads: int | None, path: Path) -> Loaded:
    """A model of a visitor's own weights, read again when it was pushed out.

    Args:    key: the digest of the files; family, heads, path: as `load_checkpoint` takes them.
    Raises:  InputError: as `load_checkpoint`.
    """
    with _without_turn():
        return _own_model(key, family, heads, _path=path)


def forget_own_model(key: str, family: str | None, heads: int | None) -> None:
    """Give up its memory."""
    _own_model.clear(key, family, heads, _path=None)


@st.cache_resource(max_entries=16, show_spinner=False)
def bundled_picture(name: str) -> Picture:
    """A bundled photograph, decoded."""
    return load_image(bundled()[name])


@st.cache_resource(max_entries=64, show_spinner=False)
def _fitted(digest: str, height: int, width: int, policy: str, _picture: Picture) -> np.ndarray:
    pixels = fit(_picture, height, width, policy)
    pixels.setflags(write=False)
    return pixels


def fitted(picture: Picture, height: int, width: int, policy: str = "crop") -> np.ndarray:
    """The picture at a model's input size: (height, width, 3) uint8, read-only."""
    return _fitted(picture.digest, height, width, policy, _picture=picture)


@st.cache_resource(max_entries=128, show_spinner=False)
def _computed(key: tuple, _compute: Callable[[], Any]) -> tuple[Any, float]:
    with _in_turn():
        started = time.perf_counter()
        return _compute(), (time.perf_counter() - started) * 1000


def computed(key: tuple, compute: Callable[[], Any]) -> Any:
    """What `compute()` returns, once for each key.

    Args:    key: everything that changes the result: a name, weights id, picture digest, sizes, options.
    """
    return computed_timed(key, compute)[0]


def computed_timed(key: tuple, compute: Callable[[], Any]) -> tuple[Any, float]:
    """The same with the milliseconds that it took when it was computed."""
    with _without_turn():
        return _computed(key, _compute=compute)


@st.cache_resource(max_entries=24, show_spinner=False)
def _read(key: tuple, _compute: Callable[[], Any]) -> tuple[Any, float]:
    with _in_turn():
        started = time.perf_counter()
        return _compute(), (time.perf_counter() - started) * 1000


def read_timed(key: tuple, compute: Callable[[], Any]) -> tuple[Any, float]:
    """As `computed_timed`, of a text's forward with every attention kept: up to 15 MB each, so fewer are kept."""
    with _without_turn():
        return _read(key, _compute=compute)


@st.cache_resource(max_entries=16, show_spinner=False)
def _images(weights_id: str, digest: str, height: int, width: int, policy: str, _loaded: Loaded,
            _pixels: np.ndarray) -> Tensor:
    return normalise(_pixels, _loaded.entry)


def model_input(picture: Picture, loaded: Loaded, *, policy: str = "crop", height: int | None = None,
                width: int | None = None):
    """Fitted pixels (H, W, 3) and the tensor (1, 3, H, W) that the model is fed."""
    size = loaded.entry.input_size
    pixels = fitted(picture, height or size, width or size, policy)
    return pixels, _images(loaded.entry.id, picture.digest, *pixels.shape[:2], policy, _loaded=loaded, _pixels=pixels)


@st.cache_resource(max_entries=12, show_spinner=False)
def _traced(weights_id: str, digest: str, height: int, width: int, policy: str, _loaded: Loaded,
            _images: Tensor) -> tuple[Trace, float]:
    return _run(_loaded, _images)


@st.cache_resource(max_entries=3, show_spinner=False)
def _traced_own(weights_id: str, digest: str, height: int, width: int, policy: str, _loaded: Loaded,
                _images: Tensor) -> tuple[Trace, float]:
    return _run(_loaded, _images)


def _run(loaded: Loaded, images: Tensor) -> tuple[Trace, float]:
    with _in_turn():
        started = time.perf_counter()
        return trace(loaded.model, images), (time.perf_counter() - started) * 1000


def traced(picture: Picture, loaded: Loaded, policy: str = "crop") -> tuple[Trace, float]:
    """One forward with every layer's attention, and its milliseconds.

    About 10 MB each, of visitors' own weights up to 100 MB, so fewer of them are kept.
    """
    _, images = model_input(picture, loaded, policy=policy)
    keep = _traced_own if loaded.entry.kind == "file" else _traced
    with _without_turn():
        return keep(loaded.entry.id, picture.digest, *images.shape[-2:], policy, _loaded=loaded, _images=images)
