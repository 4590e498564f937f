"""Which room may see which, how large a room's things may be, and what is forbidden everywhere."""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BASE = {"errors", "probe", "stepper"}
NETS = BASE | {"layers", "models"}
# Room -> the rooms of tfsss that it may import, beside itself. `data` stands at the bottom: pictures before any model.
ROOMS = {
    "errors": set(), "probe": set(), "stepper": set(), "data": {"errors"},
    "layers": BASE, "models": BASE | {"layers"},
    "weights": NETS | {"data"}, "explain": NETS | {"data"}, "mistakes": NETS | {"data"},
    "train": NETS | {"data", "weights"},  # a recipe may start from weights and ships what it made
    "figures": {"errors"},
}
ROOMS["ui"] = {*ROOMS, "ui"}
PAGES = {"ui", "explain", "figures"}
# Room -> what it needs from outside the standard library; every other room may have what requirements.txt has.
OUTSIDE = {
    "errors": set(), "figures": {"numpy", "PIL", "plotly"},
    "data": {"numpy", "PIL", "pillow_heif", "tokenizers", "torch"},
    "probe": {"torch"}, "layers": {"torch", "einops"}, "models": {"torch", "einops"}, "pages": {"streamlit"},
}
INSTALLED_AS = {"PIL": "pillow", "sklearn": "scikit-learn"}
OPTIONAL = {"huggingface_hub"}

SCRIPTS = [*([ROOT / "app.py"] if (ROOT / "app.py").exists() else []), *sorted((ROOT / "pages").glob("*.py"))]
MODULES = sorted((ROOT / "tfsss").rglob("*.py"))
PROGRAMS = MODULES + SCRIPTS + sorted((ROOT / "benchmarks").glob("*.py"))


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(path: Path) -> str:
    """"layers" of tfsss/layers/patch.py, "errors" of tfsss/errors.py, "" of tfsss/__init__.py, "pages" of a page."""
    if path in SCRIPTS:
        return "pages"
    parts = path.relative_to(ROOT / "tfsss").with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def for_types_only(tree: ast.Module) -> set[ast.AST]:
    """Everything under `if TYPE_CHECKING:`, which never runs."""
    return {inner for node in ast.walk(tree)
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            for statement in node.body for inner in ast.walk(statement)}


def imports(tree: ast.Module) -> list[tuple[int, str]]:
    """(line, full module name) of each import that can run, also of those inside functions."""
    found, skipped = [], for_types_only(tree)
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found += [(node.lineno, name.name) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import; name the whole module"
            # `from tfsss import probe` and `from tfsss.layers import patch` import modules too.
            within = node.module.split(".")[0] == "tfsss"
            found += [(node.lineno, f"{node.module}.{name.name}" if within else node.module) for name in node.names]
    return found


def faults_of(path: Path, tree: ast.Module) -> list[str]:
    """What this file imports and must not."""
    room, faults = room_of(path), []
    inside = PAGES if room == "pages" else {room} | ROOMS.get(room, set())
    for line, module in imports(tree):
        top, _, rest = module.partition(".")
        if top in sys.stdlib_module_names:
            continue
        if top == "tfsss":
            wrong = rest.split(".")[0] not in inside
        else:
            misplaced = top == "streamlit" and room not in ("ui", "pages")
            wrong = misplaced or top not in OUTSIDE.get(room, allowed_outside())
        if wrong:
            faults.append(f"{shown(path)}:{line}: {room or 'tfsss'} imports {module}")
    return faults


@cache
def allowed_outside() -> frozenset[str]:
    """Import names of what requirements.txt installs, and of what is used when present."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    installed = {name.lower() for name in re.findall(r"^[\w-]+", text, flags=re.MULTILINE)}
    names = {name.replace("-", "_") for name in installed}
    return frozenset(names | {module for module, name in INSTALLED_AS.items() if name in installed} | OPTIONAL)


def test_the_rooms_are_those_of_the_design():
    unknown = {room_of(path) for path in MODULES} - set(ROOMS) - {""}
    assert not unknown, f"no rule says what these rooms may import: {unknown}"
    assert len(MODULES) > 20


def test_every_import_goes_down():
    faults = [fault for path in MODULES + SCRIPTS for fault in faults_of(path, tree_of(path))]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(("file", "line"), [
    ("tfsss/layers/patch.py", "from tfsss.models.vit import VisionTransformer"),
    ("tfsss/layers/patch.py", "from tfsss import models"),
    ("tfsss/models/vit.py", "import tfsss.explain.rollout"),
    ("tfsss/explain/heads.py", "from tfsss.figures.maps import heat"),
    ("tfsss/explain/heads.py", "import streamlit as st"),
    ("tfsss/explain/heads.py", "def late():\n    from tfsss.weights import load"),
    ("tfsss/figures/maps.py", "from torch import Tensor"),
    ("tfsss/figures/maps.py", "from tfsss.probe import Probe"),
    ("tfsss/data/images.py", "from tfsss.layers.patch import patchify"),
    ("tfsss/models/vit.py", "import transformers"),
])
def test_a_wrong_import_is_noticed(file, line):
    assert len(faults_of(ROOT / file, ast.parse(line))) == 1
    assert not faults_of(ROOT / file, ast.parse("if TYPE_CHECKING:\n    " + line.replace("\n", "\n    ")))


def test_files_and_functions_keep_their_size():
    faults = []
    for path in PROGRAMS:
        lines = path.read_text(encoding="utf-8").splitlines()
        limit = 90 if path in SCRIPTS and path.name != "app.py" else 300
        if len(lines) > limit:
            faults.append(f"{shown(path)} has {len(lines)} lines, limit {limit}")
        faults += [f"{shown(path)}:{number} has {len(line)} characters, limit 120"
                   for number, line in enumerate(lines, 1) if len(line) > 120]
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = node.end_lineno - node.lineno + 1
                if length > 50:
                    faults.append(f"{shown(path)}:{node.lineno} {node.name} has {length} lines, limit 50")
    assert not faults, "\n".join(faults)


def test_no_room_without_a_name_and_no_assert_for_input():
    nameless = [shown(path) for path in MODULES if {"utils", "helpers", "common"} & {path.stem, path.parent.name}]
    assert not nameless
    asserts = [f"{shown(path)}:{node.lineno}" for path in PROGRAMS if path not in SCRIPTS
               and path.is_relative_to(ROOT / "tfsss") for node in ast.walk(tree_of(path))
               if isinstance(node, ast.Assert)]
    assert not asserts, asserts


def test_nothing_calls_backward_on_a_shared_model():
    faults = [f"{shown(path)}:{node.lineno}" for path in MODULES if room_of(path) != "train"
              for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute) and node.attr == "backward"]
    assert not faults, faults


def test_only_the_cache_room_decorates():
    faults = [f"{shown(path)}:{node.lineno}" for path in MODULES + SCRIPTS if path.name != "cache.py"
              for node in ast.walk(tree_of(path))
              if isinstance(node, ast.Attribute) and node.attr in ("cache_data", "cache_resource")]
    assert not faults, faults
