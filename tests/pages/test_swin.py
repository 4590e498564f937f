"""The Swin page: every step, view and control draws, the numbers are computed ones, the script reproduces them."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tfsss import weights
from tfsss.data.images import bundled, fit, load_image
from tfsss.explain import swin, swin_parts, swin_reach
from tfsss.explain.position import relative_steps
from tfsss.models.swin import VARIANTS
from tfsss.ui import downloads
from tfsss.ui.swin import scene as scenes
from tfsss.ui.swin.scene import STEPS
from tfsss.ui.swin.subject import SIDE, UNTRAINED, WEIGHTS

VIEWS = ("steps", "reach", "bias", "merging", "cost")
CONTROLS = {  # view -> control -> values, all shown one after the other
    "steps": {"rows": [1, 9, 40], "columns": [3, 40], "window": [1, 4, 12], "shift": [0, 1], "mask_padding": [True]},
    "reach": {"token": [0, 783], "through": ["blocks"], "rows": [5, 20], "window": [2], "shift": [0], "blocks": [1, 6]},
    "bias": {"block": ["0.1", "2.1"], "head": [1], "small": ["2", "4"], "from": [0], "to": [2]},
    "merging": {"merge_rows": [1, 5, 8], "merge_columns": [3], "channels": [3], "output": [1], "seed": [7]},
    "cost": {"side": [56, 1792], "cost_window": [1, 16], "width": ["32"], "patch": ["2", "16"]},
}


@pytest.fixture(scope="module")
def loaded():
    if weights.is_present(WEIGHTS):
        return weights.load(WEIGHTS)
    return weights.untrained("swin", VARIANTS[UNTRAINED], input_size=SIDE)


def shown(app) -> str:
    """Everything written on the page."""
    written = [element.proto.body for element in app.get("html")] + [element.value for element in app.markdown]
    return "\n".join(written)


def pixels(rows: int, columns: int) -> np.ndarray:
    return fit(load_image(bundled()["cat"]), rows * 4, columns * 4)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_step_and_view_draws_in_both_languages(open_app, sound, language):
    app = open_app("swin", lang=language)
    for name, values in (("step", STEPS), ("view", VIEWS)):
        for value in values:
            app.session_state[f"swin_{name}"] = value
            sound(app.run())
            assert not app.warning
            assert not re.search(r"\{[a-z_]+\}", shown(app)), "a field is not filled"


@pytest.mark.parametrize("view", VIEWS)
def test_every_value_of_every_control_draws(open_app, sound, view):
    app = open_app("swin", view=view, step="attention")
    for name, values in CONTROLS[view].items():
        for value in values:
            app.session_state[f"swin_{name}"] = value
            sound(app.run())
            assert not app.warning, (name, value, app.warning[0].value)


@pytest.mark.parametrize("step", ["pad", "ids", "mask", "attention", "crop"])
@pytest.mark.parametrize(("rows", "columns", "window", "shift"), [(9, 17, 7, 3), (3, 4, 5, 2), (1, 1, 1, 0)])
def test_any_grid_goes_through_every_step(open_app, sound, step, rows, columns, window, shift):
    app = open_app("swin", lang="en", step=step, rows=str(rows), columns=str(columns), window=str(window),
                   shift=str(shift))
    sound(app)
    cut, words = swin.windows((rows, columns), window, shift), shown(app)
    if step == "pad" and cut.padded != cut.grid:
        assert f"{(~cut.real).sum()} tokens of padding" in words and f"{cut.padded[0]} × {cut.padded[1]}" in words
    if step == "mask":
        assert f"{(~cut.allowed[-1]).sum()} of {window**4} pairs" in words
        assert f"{100 * (~cut.allowed).mean():.1f} % of all pairs" in words
    if step == "ids":
        assert f"{len(np.unique(cut.ids))} regions" in words


def test_the_address_restores_the_state_and_nonsense_is_ignored(open_app, sound, loaded):
    sound(app := open_app("swin", lang="en", step="attention", rows="10", columns="12", window="4", shift="1", at="3",
                          head="1", query="5"))
    made = swin.window_weights(pixels(10, 12), loaded, window=4, shift=1)
    words = shown(app)
    assert f"<b>{100 * made.removed[3, 1]:.1f} %</b> of head 1's attention in window 3" in words
    assert all(f"{100 * share:.3g} %" in words for share in swin.leak(made).share)
    sound(app := open_app("swin", lang="en", view="none", step="jump", rows="0", window="x", shift="9", at="-1"))
    assert app.session_state["swin_step"] == "grid" and app.session_state["swin_window"] == 7
    assert (app.session_state["swin_rows"], app.session_state["swin_shift"]) == (1, 6)  # the nearest there is
    assert "step" not in app.query_params


def test_back_and_next_walk_through_all_steps(open_app, sound):
    app = open_app("swin", lang="en")
    for here, there in pairwise(STEPS):
        assert app.session_state["swin_step"] == here
        sound(app.button(key="swin_forward").click().run())
        assert app.session_state["swin_step"] == there
    assert app.button(key="swin_forward").disabled
    app.button(key="swin_back").click().run()
    assert app.session_state["swin_step"] == STEPS[-2] and app.query_params["step"] == STEPS[-2]


def test_the_moving_tokens_are_where_the_steps_say(monkeypatch):
    packed = {}
    monkeypatch.setattr(scenes, "pack_steps", lambda steps, **options: packed.update(steps=steps, **options) or b"")
    monkeypatch.setattr(scenes, "t", lambda *_, **__: "")
    cut = swin.windows((5, 6), 4, 2)
    scenes.scene(cut, np.zeros((40, 48, 3), np.uint8), 1)
    order = np.concatenate([np.flatnonzero(cut.real), np.flatnonzero(~cut.real)])
    middle = scenes.GAP / 2 * (np.array(cut.padded) // 4 - 1)
    for step, drawn in zip(cut.steps, packed["steps"], strict=True):
        assert len(drawn.places) == cut.real.size + 16 and len(drawn.labels) == len(drawn.places)
        there = step.after[order] >= 0
        if step.name in ("pad", "shift", "ids", "reverse"):
            np.testing.assert_allclose(drawn.places[:len(order)], step.after[order] + middle)
        if step.name == "mask":
            lifted = drawn.places[[int(np.flatnonzero(order == token)[0]) for token in cut.tokens[1]]]
            np.testing.assert_allclose(lifted, drawn.places[-16:])
        hidden = drawn.looks[:len(order)] == scenes.HIDDEN
        assert not (hidden & there[:, 0]).any() and (hidden | there[:, 0]).all()
    assert (np.array([drawn.places.max(axis=0) for drawn in packed["steps"][3:8]]) <= np.array(packed["stage"])).all()


def test_reach_is_the_perturbed_one_and_agrees_with_the_masks(open_app, loaded):
    words = shown(open_app("swin", lang="en", view="reach", token="30"))
    found = swin_reach.reach_in_model(pixels(28, 28), loaded, (1, 2))
    for stage in found:
        assert all(f"{known.sum()} of {known.size}" in words for known in stage.changed)
    words = shown(open_app("swin", lang="en", view="reach", through="blocks", rows="12", columns="10", window="4",
                           shift="2", blocks="3", token="0"))
    made = swin_reach.reach((12, 10), (0, 0), window=4, shift=2, blocks=3)
    assert all(words.count(f">{count} of 120<") >= 2 for count in made.counts)
    assert "agree on all <b>360</b>" in words and "random" in words


def test_biases_merging_and_costs_show_the_numbers_of_explain(open_app, loaded):
    words = shown(open_app("swin", lang="en", view="bias", block="1.0", head="2", small="4", **{"from": "0", "to": "6"}))
    block = next(one for one in swin_parts.trained_biases(loaded) if (one.stage, one.block) == (1, 0))
    steps = relative_steps((4, 4))
    y, x = steps.offsets[0, 6] + 6
    assert f"= {steps.index[0, 6]}</b>" in words
    assert f"{block.bias.table[2, y, x]:+.4f}".replace("-", "−") in words
    words = shown(open_app("swin", lang="en", view="merging", merge_rows="3", channels="2", output="1", seed="4"))
    made = swin_parts.merging((3, 4), 2, seed=4)
    for values in (made.normed[0, 1], made.reduced[0, 1]):
        assert all(f">{value:.2f}<".replace("-", "−") in words for value in values)
    assert all(f">{value}<" in words for value in made.fours[0, 1])
    words = shown(open_app("swin", lang="en", view="cost", side="448"))
    costs = swin_parts.costs()
    assert f"{costs.global_total[3] / costs.window_total[3]:.2f} times" in words
    assert f"{costs.global_total[3] / 1e6:,.0f}" in words


def test_untrained_weights_say_so_on_the_picture(open_app, loaded):
    said = {view: "untrained" in shown(open_app("swin", lang="en", view=view)) for view in ("reach", "bias")}
    assert set(said.values()) == {loaded.entry.weights == "random"}
    assert loaded.entry.id in shown(open_app("swin", lang="en", view="bias"))


@pytest.mark.parametrize("view", VIEWS)
def test_the_script_makes_the_same_arrays_and_picture_without_a_browser(open_app, tmp_path, monkeypatch, view):
    offered = {}
    monkeypatch.setattr(downloads, "downloads", lambda room, **parts: offered.update(parts) or [])
    open_app("swin", lang="en", view=view, image="coffee", rows="9", columns="12")
    monkeypatch.chdir(tmp_path)
    exec(compile(offered["script"], "tfsss-swin.py", "exec"), {})
    assert Path("tfsss-swin.png").read_bytes() == offered["png"]()
    arrays = offered["arrays"]()
    with np.load("tfsss-swin.npz", allow_pickle=False) as made:
        assert set(made) == set(arrays) and len(made) > 3
        for name, values in arrays.items():
            np.testing.assert_array_equal(made[name], values, err_msg=name)
