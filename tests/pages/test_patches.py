"""The Patches page: every value of every control draws, the numbers are computed ones, the script reproduces them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tfsss import weights
from tfsss.data.images import Picture, bundled, fit, load_image
from tfsss.explain import patch_costs, patches
from tfsss.ui import downloads
from tfsss.ui.patches.setting import VIEWS

BUNDLED = "vit_photos112"
CONTROLS = {
    "patch_size": ["own", "4", "7", "14", "16", "28", "32", "56"], "stride": ["0.75", "0.5", "0.25", "1.5"],
    "policy": ["pad", "stretch"], "size": ["0.5", "1.5", "2"],
}


@pytest.fixture(scope="module")
def loaded():
    return weights.load(BUNDLED)


def shown(app) -> str:
    """Everything written on the page."""
    written = [element.proto.body for element in app.get("html")] + [element.value for element in app.markdown]
    return "\n".join(written)


def cut_of(loaded, patch_size: int, *, name: str = "cat", part: float = 1.0, **options) -> patches.Cut:
    picture = load_image(bundled()[name])
    size = patches.size_near(picture.height, picture.width, round(loaded.entry.input_size * part))
    return patches.cut(fit(picture, *size, "stretch"), loaded.entry, patch_size, **options)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_draws_in_both_languages(open_app, sound, view, language):
    app = open_app("patches", lang=language, view=view)
    sound(app)
    assert not app.warning and "<img" in shown(app)
    assert "{" not in re.sub(r"<style>.*?</style>|\.[\w-]+ \{.*", "", "".join(each.value for each in app.markdown))


@pytest.mark.parametrize("view", ["cut", "costs", "sequence", "table"])
def test_every_value_of_every_control_draws(open_app, sound, view):
    app = open_app("patches", view=view)
    for name, values in CONTROLS.items():
        for value in values:
            app.session_state[f"patches_{name}"] = value
            app.run()
            sound(app)
            assert not app.warning, (name, value, app.warning[0].value)
        app.session_state[f"patches_{name}"] = {"patch_size": "own", "stride": "1", "policy": "crop", "size": "1"}[name]


def test_the_address_restores_the_state_and_nonsense_is_ignored(open_app, sound, loaded):
    app = open_app("patches", lang="en", patch_size="16", stride="0.5", policy="pad", size="2", patch="70")
    sound(app)
    cut = cut_of(loaded, 16, part=2, stride=8, policy="pad")
    words = shown(app)
    assert f"<b>{len(cut.boxes)}</b>" in words and f"{cut.added_pixels:,} pixels" in words
    row, column = divmod(70, cut.grid[1])
    assert f"<b>Patch 70</b>: row {row}, column {column}" in words
    sound(app := open_app("patches", patch_size="9", stride="x", policy="burn", size="", patch="-4", view="none"))
    assert "patch_size" not in app.query_params and app.session_state["patches_patch_size"] == "own"


def test_a_cut_that_cannot_be_says_so_and_the_page_works_on(open_app, sound):
    app = open_app("patches", lang="en", patch_size="4", stride="0.25", size="2")
    sound(app)
    assert "larger stride" in app.warning[0].value
    app.session_state["patches_stride"] = "1"
    sound(app.run())
    assert not app.warning


def test_numbers_drawn_are_those_computed(open_app, loaded):
    words = shown(open_app("patches", lang="en", patch="20"))
    cut = cut_of(loaded, loaded.entry.config.patch_size)
    patch, tokens = patches.one_patch(cut, loaded, 20), patches.embed(cut, loaded)
    assert f"<b>{tokens.largest_difference:.1e}</b>" in words and f"{cut.lost_pixels:,} pixels" in words
    assert f"length {np.linalg.norm(patch.embedding):.2f}" in words
    printed = [float(each.replace("−", "-")) for each in re.findall(r"</sub> (−?[\d.]+)<", words)]
    area = patch.pixels.shape[0] ** 2
    places = [0, 1, 2, area, 3 * area - 1]
    np.testing.assert_allclose(printed, [*patch.channels_first[places], *patch.channels_last[places]], atol=0.0051)
    assert "R</span><sub>0,1</sub>" in words and "G</span><sub>0,0</sub>" in words


def test_an_untrained_projection_says_so_on_the_picture(open_app):
    for view in ("cut", "sequence"):
        assert "Random projection" in shown(open_app("patches", lang="en", view=view, patch_size="16"))
        assert "Random projection" not in shown(open_app("patches", lang="en", view=view))


def test_sequence_costs_and_table_show_the_numbers_of_explain(open_app, loaded):
    config = loaded.entry.config
    cut = cut_of(loaded, config.patch_size)
    norms = patches.sequence(cut, loaded).norms
    words = shown(open_app("patches", lang="en", view="sequence"))
    assert all(f"<td>{norm:.2f}</td>" in words for norm in norms[:, :3].ravel())
    costs = patch_costs.costs(config, *cut.source)
    words = shown(open_app("patches", lang="en", view="costs"))
    assert all(f"<td>{tokens:,}</td><td>{total / 1e9:.2f}</td>" in words
               for tokens, total in zip(costs.tokens, costs.total))
    table = patches.fitted_table(cut, loaded)
    words = shown(open_app("patches", lang="en", view="table"))
    for way in (table.right, table.transposed, table.swapped):
        assert f"{np.nanmean(way.agreement):.3f}".replace("-", "−") in words


def test_the_place_in_the_picture_stays_when_the_grid_changes(open_app, sound, loaded):
    app = open_app("patches", lang="en", patch="0")
    app.session_state["patches_patch_size"] = "4"
    app.run()
    cut = cut_of(loaded, 4)
    row, column = divmod(app.session_state["patches_patch"], cut.grid[1])
    assert row <= 1 and column <= 1
    app.session_state["patches_patch"] = None  # the canvas let go: the patch stays
    sound(app.run())
    assert f"<b>Patch {row * cut.grid[1] + column}</b>" in shown(app)


@pytest.mark.parametrize("view", VIEWS)
def test_the_script_makes_the_same_arrays_and_picture_without_a_browser(open_app, tmp_path, monkeypatch, view):
    offered = {}
    monkeypatch.setattr(downloads, "downloads", lambda room, **parts: offered.update(parts) or [])
    options = {"range": "shared"} if view == "filters" else {"patch": "5", "policy": "pad", "image": "coffee"}
    open_app("patches", lang="en", view=view, **options)
    monkeypatch.chdir(tmp_path)
    exec(compile(offered["script"], "tfsss-patches.py", "exec"), {})
    assert Path("tfsss-patches.png").read_bytes() == offered["png"]()
    arrays = offered["arrays"]()
    with np.load("tfsss-patches.npz", allow_pickle=False) as made:
        assert set(made) == set(arrays) and len(made) > 3
        for name, values in arrays.items():
            np.testing.assert_array_equal(made[name], values, err_msg=name)


@pytest.mark.parametrize("shape", [(1, 1), (150, 3000), (900, 40)])
def test_a_picture_of_any_shape_is_cut(open_app, sound, shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    app = open_app("patches", lang="en")
    app.session_state["own_picture"] = Picture(pixels=pixels, digest=f"{shape}", height=shape[0], width=shape[1],
                                               source_size=shape[::-1], notes=())
    app.session_state["image"] = "own"
    for view in VIEWS:
        app.session_state["patches_view"] = view
        sound(app.run())
        assert not app.warning and "<img" in shown(app)
    app.session_state["patches_patch_size"] = "56"
    sound(app.run())
