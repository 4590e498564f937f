"""The Position page: every kind, view and control draws or says why not, in both languages, with the right numbers."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stdout

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tfsss import weights
from tfsss.errors import TEXT, InputError
from tfsss.explain import position, position_beyond
from tfsss.explain.rotary import rotary_pairs
from tfsss.ui import downloads
from tfsss.ui.position.chosen import OWN, VIEWS
from tfsss.ui.position.encodings import channels_of
from tfsss.ui.position.show import thinned

PAIRS = [(kind, view) for kind, views in VIEWS.items() for view in views]
offered: list[list] = []


@pytest.fixture(autouse=True)
def keep_downloads(monkeypatch):
    """What each run of the page offers to take away."""
    original = downloads.downloads
    offered.clear()

    def kept(*args, **options):
        offered.append(original(*args, **options))
        return offered[-1]

    monkeypatch.setattr(downloads, "downloads", kept)


@pytest.fixture
def opened(open_app):
    return lambda **address: open_app("position", **{name: str(value) for name, value in address.items()})


def html(app: AppTest) -> str:
    return "\n".join(str(element.proto.body) for element in app.get("html"))


def is_well(app: AppTest) -> bool:
    return not app.exception and not app.error and not app.warning


def said(app: AppTest, name: str) -> float:
    """A number that the page states in a data attribute."""
    return float(re.search(rf'data-{name}="([^"]+)"', html(app)).group(1))


@pytest.mark.parametrize(("kind", "view"), PAIRS)
def test_every_kind_and_view_is_drawn_and_can_be_taken_away(kind, view, tmp_path, monkeypatch, opened):
    app = opened(kind=kind, view=view, lang="en" if len(kind + view) % 2 else "zh")
    assert is_well(app) and (app.get("bidi_component") or "<img" in html(app) or "<table" in html(app))
    png, page, npz, script = offered[-1]
    assert Image.open(io.BytesIO(png.make())).size > (8, 8) and b"<h1>" in page.make()
    arrays = np.load(io.BytesIO(npz.make()), allow_pickle=False)
    assert arrays.files and all(array.dtype != object for array in arrays.values())
    monkeypatch.chdir(tmp_path)
    with redirect_stdout(io.StringIO()):
        exec(compile(script.make().decode(), "tfsss-position.py", "exec"), {"__name__": "__main__"})
    assert "streamlit" not in script.make().decode() and Image.open(tmp_path / "position.png").size > (8, 8)


def test_the_script_prints_what_the_page_says(tmp_path, monkeypatch, opened):
    app = opened(kind="learned", view="similarity", lang="en")
    monkeypatch.chdir(tmp_path)
    with redirect_stdout(io.StringIO()) as printed:
        exec(offered[-1][3].make().decode(), {})
    assert said(app, "spread") == pytest.approx(float(printed.getvalue().split(":")[1]), abs=1e-4)


EXTREMES = {"length": (8, 512), "width": (8, 512), "base": (2, 1_000_000), "rows": (2, 18), "columns": (2, 18),
            "order": ("xy", "yx"), "layout": ("concatenated", "interleaved"), "pairing": ("interleaved", "halves"),
            "heads": (1, 16), "symmetric": (0, 1), "window_rows": (2, 8), "window_columns": (2, 8), "seed": (0, 9),
            "table": ("used", "trained")}


@pytest.mark.parametrize("kind", VIEWS)
def test_the_ends_of_every_control_are_drawn(kind, opened):
    for view in VIEWS[kind]:
        for end in (0, 1):
            address = {name: EXTREMES[name][end] for name in OWN[kind]}
            app = opened(kind=kind, view=view, lang="zh", **address)
            assert is_well(app), (view, address)


@pytest.mark.parametrize(("view", "address"), [
    ("compare", {"kind": "interleaved", "other": other}) for other in VIEWS if other != "interleaved"
] + [
    ("compare", {"kind": "alibi", "other": "relative", "window_rows": 8}),
    ("compare", {"kind": "relative", "other": "learned", "measure": "dot"}),
    ("similarity", {"kind": "alibi", "head": 3}), ("similarity", {"kind": "learned", "measure": "dot"}),
    ("resize", {"kind": "learned", "new_rows": 2, "new_columns": 40, "antialias": 1}),
    ("resize", {"kind": "sincos_2d", "new_rows": 40, "new_columns": 40}),
    ("beyond", {"kind": "learned", "past_rows": 16}), ("beyond", {"kind": "interleaved", "past": 0}),
    ("grid", {"kind": "learned", "patch": 5}), ("pairs", {"kind": "rotary", "query_at": 0, "shift": 1000}),
    *(("steps", {"kind": "relative", "step": step, "window_rows": 4 if step == "index" else 5}) for step in (
        "coordinates", "offsets", "shifted", "scaled", "index")),
])
def test_more_links_are_drawn(view, address, opened):
    assert is_well(opened(view=view, lang="en", **address))


def test_a_view_that_a_kind_does_not_have_becomes_one_with_a_sentence(opened):
    app = opened(kind="alibi", view="waves", lang="en")
    assert is_well(app) and any("has no view" in caption.value for caption in app.caption)
    assert app.session_state["position_view"] == "bias"
    assert is_well(opened(kind="nonsense", view="nonsense", length="x", width=7, base=3, lang="en"))


def test_the_numbers_are_those_of_the_explain_functions(opened):
    app = opened(kind="learned", view="similarity", lang="en")
    loaded = weights.load(weights.best("vit"))
    side = loaded.entry.input_size // loaded.entry.config.patch_size
    table = position.learned(loaded, (side, side))
    curve = position.by_distance(position.similarity(table))
    assert said(app, "spread") == pytest.approx(curve.spread.max(), abs=1e-4)
    app = opened(kind="rotary", view="pairs", query_at=20, key_at=3, shift=500, lang="zh")
    turned = rotary_pairs(64, query_at=20, key_at=3, shift=500)
    assert said(app, "score") == pytest.approx(turned.score, abs=1e-4)
    assert said(app, "shifted") == pytest.approx(said(app, "score"), abs=1e-3)
    app = opened(kind="relative", view="steps", window_rows=4, query=11, key_token=2, lang="en")
    assert said(app, "index") == position.relative_steps((4, 3)).index[11, 2]
    app = opened(kind="learned", view="beyond", past_rows=3, lang="en")
    assert said(app, "defined") == side**2
    app = opened(kind="learned", view="resize", new_rows=20, new_columns=30, lang="en")
    assert said(app, "wanted") == 600 and said(app, "given") == side**2
    resized = position_beyond.resize(table, (20, 30), antialias=False)
    assert resized.refusal and resized.refusal in app.code[0].value
    assert f"{np.nanmean(resized.swapped.agreement):.3f}" in html(app).replace("−", "-")


def test_a_control_stands_in_the_address_and_typed_channels_are_checked(opened):
    app = opened(kind="interleaved", lang="en")
    app.slider(key="position_length").set_value(128).run()
    assert "128" in app.query_params["length"] and "→</b><span>63" in html(app)
    app = opened(kind="interleaved", view="waves", channels="0, 16", lang="en")
    assert is_well(app) and html(app).count("<img") >= 2
    for text in ("cat", "0 1 2 3 4 5 6 7 8", "64"):
        app = opened(kind="interleaved", view="waves", channels=text, lang="zh")
        assert not app.error and len(app.warning) == 1


def test_channels_as_typed():
    made = position.sinusoidal(8, 8)
    assert channels_of(" 1，2、3;3 ", made) == (1, 2, 3)
    with pytest.raises(InputError):
        channels_of("-1", made)


@pytest.mark.parametrize(("positions", "grid", "most"), [(512, None, 100), (1369, (37, 37), 346), (12, (3, 4), 99)])
def test_thinning_keeps_a_grid_a_grid(positions, grid, most):
    kept = thinned(positions, grid, most)
    assert len(kept) <= most and kept[0] == 0 and (positions <= most) == (len(kept) == positions)
    if grid:
        rows, columns = np.unique(kept // grid[1]), np.unique(kept % grid[1])
        assert len(rows) * len(columns) == len(kept)


def test_what_the_page_tells_to_look_for_is_so():
    first, second = (position.similarity(position.sinusoidal(64, 64, interleaved=way)) for way in (True, False))
    assert np.abs(first.matrix - second.matrix).max() < 1e-5
    assert np.linalg.norm(position.sinusoidal(64, 64).vectors, axis=1) == pytest.approx(5.66, abs=0.005)
    slopes = position.alibi(8, 4).slopes
    assert slopes[1:] / slopes[:-1] == pytest.approx(0.5)
    assert len(np.unique(position.relative_steps((3, 3)).index)) == 25
    for language in ("en", "zh"):
        words = json.loads((TEXT / language / "position.json").read_text(encoding="utf-8"))
        look = " ".join(text for name, text in words.items() if name.split(".")[0] == "look")
        assert "5.66" in look and "0.00001" in look and "81" in look and "25" in look
