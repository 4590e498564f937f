"""The MAE page: every option of every control, its numbers against the functions that they come from, its downloads."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from streamlit.delta_generator import DeltaGenerator
from PIL import Image

from tfsss.data.images import bundled, fit, load_image
from tfsss.explain.mae import fills, guess, masking
from tfsss.explain.mae_shuffle import MASK_TOKEN, savings, shuffle_steps
from tfsss.explain.mae_targets import ways_back
from tfsss.figures.bitmap import from_bitmap, to_bitmap
from tfsss.models.mae import VARIANTS
from tfsss.ui.downloads import Download
from tfsss.ui.language import sentences
from tfsss.ui import waiting as long
from tfsss.ui.mae import shuffle_scene, waiting
from tfsss.ui.mae.subject import current_model
from tfsss.weights import REGISTRY

CENTRE = np.zeros((14, 14), bool)
CENTRE[4:9, 3:10] = True
VIEWS = ("guess", "shuffle", "targets", "grid", "cost")


def words(app) -> str:
    """All text and HTML of the page."""
    html = [block.proto.body for block in app.get("html")]
    return "\n".join([*html, *(each.value for kind in (app.markdown, app.caption) for each in kind)])


def pixels_of(name: str = "cat") -> np.ndarray:
    return fit(load_image(bundled()[name]), 112, 112)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_opens_in_both_languages(open_app, sound, view, language):
    app = open_app("mae", lang=language, view=view)
    sound(app)
    assert app.title[0].value == sentences(language, "mae")["title"]
    assert app.session_state["mae_view"] == view and not app.warning


@pytest.mark.parametrize("pattern", ["random", "block", "grid"])
@pytest.mark.parametrize("ratio", ["0", "0.5", "1"])
def test_the_losses_are_those_of_the_model(open_app, sound, pattern, ratio):
    app = open_app("mae", pattern=pattern, ratio=ratio, seed="3", image="coffee")
    sound(app)
    loaded = current_model()
    made = guess(pixels_of("coffee"), loaded, masking(loaded.model.config, pattern, float(ratio), seed=3))
    filled = fills(made.original, loaded, made.mask)
    shown, none = words(app), sentences("en", "mae")["number.none"]
    kept = int((~made.mask).sum())
    assert f"<td>{kept} of 196</td>" in shown and f"<td>{kept + 1}</td>" in shown
    assert f"<td>{made.loss_all:.3f}</td>" in shown
    expected = [f"{value:.3f}" if kept < 196 else none
                for value in (made.loss_masked, filled.loss_harmonic, filled.loss_mean)]
    assert all(f"<td>{value}</td>" in shown for value in expected)
    assert f"<td>{made.loss_visible:.3f}</td>" in shown if kept else f"<td>{none}</td>" in shown


def test_a_painted_set_comes_with_the_link(open_app, sound):
    app = open_app("mae", pattern="painted", painted=to_bitmap(CENTRE))
    sound(app)
    loaded = current_model()
    made = guess(pixels_of(), loaded, masking(loaded.model.config, "painted", painted=CENTRE))
    assert f"<td>{made.loss_masked:.3f}</td>" in words(app) and "<td>161 of 196</td>" in words(app)
    app.button(key="mae_clear").click().run()
    sound(app)
    assert app.query_params["painted"] == "" and "<td>196 of 196</td>" in words(app)
    cleared = open_app("mae", pattern="painted", painted="")
    assert "<td>196 of 196</td>" in words(cleared)
    app.button(key="mae_centre").click().run()
    sound(app)
    assert "painted" in app.query_params and "<td>132 of 196</td>" in words(app)


def test_painting_begins_with_the_mask_that_was_shown(open_app, sound):
    def painted(app) -> np.ndarray:
        return from_bitmap(app.session_state["mae_painted"], (14, 14))

    def shown(pattern: str, ratio: float, seed: int) -> np.ndarray:
        loaded = current_model()
        return guess(pixels_of(), loaded, masking(loaded.model.config, pattern, ratio, seed=seed)).mask

    app = open_app("mae", pattern="painted")
    sound(app)
    assert np.array_equal(painted(app), shown("random", 0.75, 0)) and "painted" not in app.query_params
    for pattern, ratio, seed in (("block", 0.5, 3), ("random", 0.25, 3)):
        app.button_group(key="mae_pattern").set_value(pattern).run()
        app.session_state["mae_ratio"], app.session_state["mae_seed"] = ratio, seed
        app.run()
        app.button_group(key="mae_pattern").set_value("painted").run()
        sound(app)
        assert np.array_equal(painted(app), shown(pattern, ratio, seed)) and app.query_params["painted"]
    app.session_state["mae_painted"] = to_bitmap(CENTRE)
    app.run()
    app.button_group(key="mae_pattern").set_value("random").run()
    app.button_group(key="mae_pattern").set_value("painted").run()
    assert np.array_equal(painted(app), CENTRE)  # what was painted is kept


def test_a_mistyped_set_gets_a_sentence_and_a_picture(open_app, sound):
    app = open_app("mae", pattern="painted", painted="abc")
    sound(app)
    assert len(app.warning) == 1 and "<td>196 of 196</td>" in words(app)


@pytest.mark.parametrize("nonsense", [{"ratio": "much"}, {"seed": "-4"}, {"view": "none"}, {"pattern": "x"},
                                      {"view": "shuffle", "keep": "99"}, {"view": "shuffle", "step": "7"}])
def test_nonsense_in_the_address_is_passed_over(open_app, sound, nonsense):
    app = open_app("mae", **nonsense)
    sound(app)
    assert not app.warning


def test_untrained_weights_are_said_to_be_untrained(open_app, sound, monkeypatch):
    monkeypatch.delitem(REGISTRY, "mae_photos112", raising=False)
    for view, language in (("guess", "en"), ("targets", "zh"), ("grid", "en")):
        app = open_app("mae", view=view, lang=language)
        sound(app)
        assert f">{sentences(language, 'mae')['untrained']}<" in words(app)
        assert "mae_untrained" in words(app)
    app = open_app("home")
    sound(app)
    assert any("untrained weights" in picture.proto.imgs[0].caption for picture in app.get("image"))


@pytest.mark.skipif("mae_photos112" not in REGISTRY, reason="the trained weights are not shipped yet")
def test_trained_weights_are_named_and_nothing_is_called_untrained(open_app, sound):
    app = open_app("mae")
    sound(app)
    assert "mae_photos112" in words(app) and sentences("en", "mae")["untrained"] not in words(app)


@pytest.mark.parametrize("cells", ["2x4", "3x3"])
@pytest.mark.parametrize("keep", [0, 3, 8])
def test_the_shuffle_goes_forwards_and_backwards(open_app, sound, cells, keep):
    app = open_app("mae", view="shuffle", cells=cells, keep=str(keep), seed="5")
    rows, columns = map(int, cells.split("x"))
    steps = shuffle_steps((rows, columns), keep, seed=5)
    for name in shuffle_scene.STEPS[1:]:
        app.button(key="mae_forward").click().run()
        sound(app)
        assert app.session_state["mae_step"] == name == app.query_params["step"]
    assert app.button(key="mae_forward").disabled
    app.button(key="mae_back").click().run()
    assert app.session_state["mae_step"] == "restore"
    found = dict(re.findall(r"<code>([^<]+)</code></th>(.*?)</tr>", words(app)))
    cell = {name: re.findall(r"<td[^>]*>([^<]*)</td>", row) for name, row in found.items()}
    assert cell["ids_shuffle"] == [str(each) for each in steps.ids_shuffle]
    assert cell["ids_restore"] == [str(each) for each in steps.ids_restore]
    assert cell["appended[ids_restore]"] == ["M" if each == MASK_TOKEN else str(each) for each in steps.restored]
    assert cell["ids_shuffle[ids_restore]"] == [str(each) for each in range(rows * columns)]
    assert cell["noise"] == [f"{each:.2f}"[1:] for each in steps.noise]


@pytest.mark.parametrize("keep", range(9))
def test_every_token_ends_where_the_arrays_say(keep):
    steps = shuffle_steps((2, 4), keep, seed=keep)
    places = {name: [(round(y, 3), round(x, 3)) for y, x in each] for name, each in
              shuffle_scene._places(steps).items()}
    looks, home = shuffle_scene._looks(steps), places["patches"][:8]
    line = [(2.5, float(place)) for place in range(8)]
    assert [line.index(place) for place in places["sort"][:8]] == steps.ids_restore.tolist()
    token = [*range(8), *[MASK_TOKEN] * (8 - keep)]
    for name, slots, expected in (("append", line, steps.appended), ("restore", home, steps.restored),
                                  ("wrong", home, steps.wrong)):
        standing = {place: number for place, number, look in zip(places[name], token, looks[name], strict=True) if look}
        assert [standing[slot] for slot in slots] == expected.tolist(), name


@pytest.mark.parametrize("perfect", ["0", "1"])
def test_the_ways_back_and_the_one_that_leaks(open_app, sound, perfect):
    app = open_app("mae", view="targets", perfect=perfect, show="raw", pattern="block")
    sound(app)
    loaded = current_model()
    back = ways_back(pixels_of(), loaded, masking(loaded.model.config, "block"), perfect=perfect == "1")
    shown, said = words(app), sentences("en", "mae")
    for one in back.ways:
        assert said["way.loss"].format(loss=f"{one.loss_masked:.3f}") in shown
    (leaking,) = [panel for panel in shown.split("<figure") if said["leaks"] in panel.split("alt=")[-1].split(">", 1)[-1]]
    assert said["way.answer"].replace("'", "&#x27;") in leaking


@pytest.mark.parametrize("control", [{"grid_pattern": "block"}, {"grid_pattern": "grid", "grid_show": "raw"},
                                     {"grid_show": "masked"}])
def test_the_grid_in_every_form(open_app, sound, control):
    app = open_app("mae", view="grid", seed="2", **control)
    sound(app)
    shown = words(app)
    assert all(f"seed {seed}<" in shown for seed in (2, 3, 4, 5)) and shown.count('<div class="under"><img') == 16


@pytest.mark.parametrize("shape", ["this", "b16", "l16", "h14"])
def test_the_cost_is_counted_for_every_shape(open_app, sound, shape):
    app = open_app("mae", view="cost", shape=shape, ratio="0.5")
    sound(app)
    config = current_model().model.config if shape == "this" else VARIANTS[shape]
    saved = savings(config, (0.0, 0.5))
    assert f"{saved.encoder[0] / saved.encoder[1]:.1f} times fewer" in words(app)
    assert f"{saved.encoder_tokens[1]} of {saved.encoder_tokens[0]} tokens" in words(app)


@pytest.mark.parametrize("address", [{"view": view} for view in VIEWS] + [
    {"pattern": "painted", "painted": to_bitmap(CENTRE)}, {"view": "targets", "perfect": "1"},
    {"view": "grid", "grid_show": "masked"}])
def test_what_is_taken_away_can_be_made_again(open_app, sound, monkeypatch, tmp_path, capsys, address):
    kept: dict[str, Download] = {}
    monkeypatch.setattr(Download, "button", lambda self: kept.update({self.kind: self}))
    app = open_app("mae", **address)
    sound(app)
    assert Image.open(BytesIO(kept["png"].make())).width > 300
    arrays = np.load(BytesIO(kept["npz"].make()))
    assert len(arrays.files) >= 5 and all(arrays[name].dtype != object for name in arrays.files)
    monkeypatch.chdir(tmp_path)
    exec(compile(kept["py"].make().decode(), "taken.py", "exec"), {})  # noqa: S102: our own script
    printed = capsys.readouterr().out
    view = address.get("view", "guess")
    if view == "guess":
        assert f"loss on removed patches {float(arrays['loss_masked']):.3f}" in printed
    assert (view in ("shuffle", "cost")) or Path(f"mae-{view}.png").is_file()


@pytest.mark.parametrize("view", ["grid", "cost"])
def test_what_takes_long_says_how_far_it_is(open_app, sound, monkeypatch, view):
    monkeypatch.setattr(waiting, "PATIENCE_S", -1.0)
    said = []
    monkeypatch.setattr(DeltaGenerator, "progress", lambda self, part, text: said.append((part, text)) or self)
    app = open_app("mae", view=view, seed="9")
    sound(app)
    parts = [part for part, _ in said]
    assert parts == sorted(parts) and parts[0] > 0 and parts[-1] == 1 and len(parts) > 3
    assert not [button for button in app.button if button.key == "stop_asked"]  # it has ended


def test_stopped_it_waits_until_told_to_go_on(open_app, sound):
    app = open_app("mae", view="grid")
    subject = (current_model().entry.id, load_image(bundled()["cat"]).digest, 112, 112)
    app.session_state[long.STOPPED] = long.Stopped(key=("mae_grid", *subject, "random", (0, 1, 2, 3)), done=1, total=4)
    app.run()
    sound(app)
    assert '<div class="under">' not in words(app) and "Stopped after 1 of 4 ratios." in words(app)
    app.button(key="mae_go_on").click().run()
    sound(app)
    assert words(app).count('<div class="under"><img') == 16
