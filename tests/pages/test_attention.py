"""The Attention page: every option draws, links restore it, and its numbers are those of `tfsss.explain`."""

from __future__ import annotations

import re
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tfsss import weights
from tfsss.data.images import bundled, fit, load_image
from tfsss.explain.attention import of_query, on_grid, trace
from tfsss.explain.faithfulness import faithfulness
from tfsss.explain.features import outliers
from tfsss.explain.heads import heads
from tfsss.explain.inputs import normalise
from tfsss.explain.methods import METHODS, compare
from tfsss.explain.relevance import relevance
from tfsss.explain.rollout import rollout
from tfsss.models.vit import ViTConfig, VisionTransformer
from tfsss.ui.attention import measured, taking
from tfsss.weights.registry import Entry

VIEWS = ("heads", "methods", "faithfulness", "distances", "tokens")
SMALL = {  # id -> config: with classes; without any, with registers and another grid; without a class token
    "vit_small_test": ViTConfig(img_size=32, patch_size=8, num_classes=7, embed_dim=24, depth=3, num_heads=2),
    "vit_plain_test": ViTConfig(img_size=40, patch_size=8, num_classes=0, embed_dim=24, depth=2, num_heads=3,
                                num_registers=2),
    "vit_mean_test": ViTConfig(img_size=24, patch_size=8, num_classes=3, embed_dim=24, depth=2, num_heads=2,
                               class_token=False, pool="mean"),
}


def listed(app, name: str):
    """The list of this name; its key goes on with a digest of what its options are called."""
    return next(box for box in app.selectbox if box.key.startswith(f"{name}_"))


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Three small ViTs with random weights stand in the registry, in front of all others."""
    (tmp_path / "weights").mkdir()
    for weights_id, config in SMALL.items():
        torch.manual_seed(len(weights_id))
        model = VisionTransformer(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.25)
        save_file(model.state_dict(), tmp_path / "weights" / f"{weights_id}.safetensors")
        entry = Entry(id=weights_id, name=f"ViT {weights_id}", family="vit", kind="download", config=config,
                      mean=(0.5,) * 3, std=(0.5,) * 3, input_size=config.img_size, parameters=9_999,
                      paper="none", licence="MIT",
                      classes=tuple(f"class {number}" for number in range(config.num_classes)), size_bytes=1)
        monkeypatch.setitem(weights.REGISTRY, weights_id, entry)


def subject(weights_id: str, image: str = "cat"):
    """Model, pixels, batch and trace, computed as a script would."""
    loaded = weights.load(weights_id)
    size = loaded.entry.input_size
    pixels = fit(load_image(bundled()[image]), size, size)
    images = normalise(pixels, loaded.entry)
    return loaded, pixels, images, trace(loaded.model, images)


def said(app) -> str:
    """Everything that stands on the page as text."""
    html = [block.proto.body for block in app.get("html")]
    return "\n".join([*html, *(element.value for element in (*app.markdown, *app.caption, *app.info))])


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_of_the_shipped_weights(open_app, sound, view, lang):
    app = open_app("attention", view=view, lang=lang, image="flower")
    sound(app)
    assert not re.search(r"\{\w+\}|\bnan\b", said(app))
    assert app.session_state["attention_view"] == view


@pytest.mark.parametrize("weights_id", SMALL)
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_of_any_grid_depth_and_heads(open_app, sound, small, view, weights_id):
    sound(open_app("attention", view=view, lang="en", weights=weights_id))


def test_every_option_of_every_control(open_app, sound, small):
    app = open_app("attention", lang="en", weights="vit_small_test")
    for layer in range(3):
        sound(app.slider(key="attention_layer").set_value(layer).run())
    for head in ("0", "1", "mean"):
        sound(listed(app, "attention_head").set_value(head).run())
    for query in ("mean", "patch", "class"):
        sound(app.button_group(key="attention_query").set_value(query).run())
    for strength in (0.0, 1.0):
        sound(app.slider(key="attention_strength").set_value(strength).run())
    app.button_group(key="attention_view").set_value("methods").run()
    for fusion in ("max", "min", "mean"):
        sound(app.button_group(key="attention_fusion").set_value(fusion).run())
    for name, values in (("discard", (0.95, 0.0)), ("residual", (0.0, 1.0, 0.5)), ("first", (2, 0))):
        for value in values:
            sound(app.slider(key=f"attention_{name}").set_value(value).run())
    for option in ("0", "6", "auto"):
        sound(listed(app, "attention_class").set_value(option).run())


OPTIONS = [{"layer": "0"}, {"head": "1"}, {"query": "mean"}, {"query": "patch"}, {"pin": "3"}, {"strength": "0"},
           *({"view": "methods"} | option for option in (
               {"fusion": "max"}, {"fusion": "min"}, {"discard": "0.95"}, {"residual": "0"}, {"residual": "1"},
               {"first": "2"}, {"class": "6"})),
           {"view": "faithfulness", "fill": "blur"}, {"view": "tokens", "layer": "1"}]


@pytest.mark.parametrize("option", OPTIONS, ids=str)
def test_every_option_in_chinese(open_app, sound, small, option):
    app = open_app("attention", lang="zh", weights="vit_small_test", **option)
    sound(app)
    assert not re.search(r"\{\w+\}", said(app))


def test_a_link_brings_everything_back(open_app, sound, small):
    app = open_app("attention", lang="en", weights="vit_small_test", layer="1", head="1", query="patch", pin="9",
                   strength="0.3")
    sound(app)
    kept = {name: app.session_state[f"attention_{name}"] for name in ("layer", "head", "query", "pin", "strength")}
    assert kept == {"layer": 1, "head": "1", "query": "patch", "pin": 9, "strength": 0.3}
    app = open_app("attention", lang="en", weights="vit_small_test", view="faithfulness", fill="blur", fusion="max",
                   discard="0.25", residual="0.4", first="1", **{"class": "3"})
    sound(app)
    names = ("fill", "fusion", "discard", "residual", "first", "class")
    assert [app.session_state[f"attention_{name}"] for name in names] == ["blur", "max", 0.25, 0.4, 1, "3"]


@pytest.mark.parametrize("nonsense", [{"layer": "99", "head": "77"}, {"pin": "4000", "query": "patch"}, {"pin": "-1"},
                                      {"query": "dog"}, {"view": "methods", "class": "99", "discard": "2"},
                                      {"view": "methods", "residual": "x", "first": "-4"}, {"view": "nowhere"}])
def test_nonsense_in_the_address_still_draws(open_app, sound, small, nonsense):
    sound(open_app("attention", lang="en", weights="vit_small_test", **nonsense))


def test_the_pinned_token_and_the_query_follow_each_other(open_app, sound, small):
    app = open_app("attention", lang="en", weights="vit_small_test")
    pin, query = (lambda: app.session_state["attention_pin"]), (lambda: app.session_state["attention_query"])
    app.number_input(key="attention_pin").set_value(7).run()
    assert (query(), pin()) == ("patch", 7) and app.query_params["pin"] == "7"
    app.button_group(key="attention_query").set_value("mean").run()
    assert (query(), pin()) == ("mean", None) and "pin" not in app.query_params
    app.button_group(key="attention_query").set_value("patch").run()
    assert (query(), pin()) == ("patch", 1 + 16 // 2 + 2)
    app.number_input(key="attention_pin").set_value(0).run()  # the class token
    assert (query(), pin()) == ("class", None)
    sound(app)


def test_a_click_on_a_small_map_chooses_layer_and_head(open_app, sound, small):
    app = open_app("attention", lang="en", weights="vit_small_test")
    app.session_state["attention_cell"] = 1 * 3 + 2  # heads down, layers across
    app.run()
    assert (app.session_state["attention_layer"], app.session_state["attention_head"]) == (2, "1")
    app.session_state["attention_cell"] = None
    app.run()
    assert app.session_state["attention_head"] == "mean"
    sound(app)


def test_the_montage_prints_the_largest_weight(open_app, small):
    *_, traced = subject("vit_small_test")
    for query in ("class", "mean"):
        largest = on_grid(traced, of_query(traced, traced.weights, query)).max()
        app = open_app("attention", lang="en", weights="vit_small_test", query=query)
        assert f"patch is {largest:.2f}" in said(app)


def test_the_methods_numbers_and_what_they_explain(open_app, small):
    loaded, _, images, traced = subject("vit_small_test")
    explained = relevance(loaded.model, images, class_index=4)
    compared = compare(traced, loaded.entry.config, rollout(traced, fusion="max", first=1), explained)
    text = said(open_app("attention", lang="en", weights="vit_small_test", view="methods", fusion="max", first="1",
                         **{"class": "4"}))
    assert f"class “class 4”: logit {explained.score:.2f}" in text
    assert f"the largest value is {compared.shares.max() * 16:.1f}" in text
    for name, part in zip(("Raw", "Rollout", "Gradient rollout", "Chefer"), compared.on_patches):
        assert f"{name} {part:.0%}" in text
    assert "the 17 rows of the rollout sum to 1" in text
    loaded, _, images, _ = subject("vit_plain_test")
    text = said(open_app("attention", lang="en", weights="vit_plain_test", view="methods"))
    assert "no classes, so the gradients are those of the cosine" in text
    assert f"where the cosine is {relevance(loaded.model, images).score:.2f}" in text


def test_nothing_left_on_the_patches_is_said(open_app, sound, small):
    app = open_app("attention", lang="en", weights="vit_small_test", view="methods", residual="1")
    sound(app)
    assert "nothing of the patches is left in Rollout" in said(app)


@pytest.mark.parametrize("fill", ["mean", "blur"])
def test_faithfulness_on_demand(open_app, sound, small, fill):
    app = open_app("attention", lang="en", weights="vit_small_test", view="faithfulness", fill=fill)
    assert "Area under" not in said(app)
    sound(app.button(key="attention_measure").click().run())
    loaded, _, images, traced = subject("vit_small_test")
    compared = compare(traced, loaded.entry.config, rollout(traced), relevance(loaded.model, images))
    expected = faithfulness(loaded.model, images, dict(zip(METHODS, compared.shares)), fill=fill,
                            generator=np.random.default_rng(measured.SEED))
    table = next(element.value for element in app.markdown if "Area under" in element.value)
    for area in (*expected.curves.deletion_area, *expected.curves.insertion_area):
        assert f"{area:.3f}" in table
    assert f"{expected.chance.deletion_area.mean():.3f} ± {expected.chance.deletion_area.std():.3f}" in table
    app.button_group(key="attention_view").set_value("heads").run()
    app.button_group(key="attention_view").set_value("faithfulness").run()
    assert "Area under" in said(app)  # kept until the picture, the weights or an option changes
    other = app.button_group(key="attention_fill").set_value("blur" if fill == "mean" else "mean").run()
    assert "Area under" not in said(other)


def test_distances_and_outliers_are_those_computed(open_app, small):
    *_, traced = subject("vit_small_test")
    numbers = heads(traced)
    text = said(open_app("attention", lang="en", weights="vit_small_test", view="distances"))
    assert f"Shortest {numbers.distance.min():.1f} px" in text and f"highest {numbers.entropy.max():.1f} bits" in text
    counts = [int(outliers(traced, layer).is_outlier.sum()) for layer in range(3)]
    text = said(open_app("attention", lang="en", weights="vit_small_test", view="tokens", layer="0"))
    assert f"{', '.join(map(str, counts))}; {sum(counts)} in all" in text
    assert f"{counts[0]} of 16 patches are outliers" in text


@pytest.mark.parametrize("view", VIEWS)
def test_what_can_be_taken_away(open_app, small, monkeypatch, tmp_path, capsys, view):
    offered = {}
    monkeypatch.setattr(taking.downloads, "downloads", lambda room, **parts: offered.update(parts) or [])
    app = open_app("attention", lang="en", weights="vit_small_test", view=view, layer="1", query="patch", pin="6")
    if view == "faithfulness":
        app.button(key="attention_measure").click().run()
    assert Image.open(BytesIO(offered["png"]())).format == "PNG"
    arrays = offered["arrays"]()
    *_, traced = subject("vit_small_test")
    assert np.array_equal(arrays["weights"], traced.weights)
    monkeypatch.chdir(tmp_path)
    exec(compile(offered["script"], "script.py", "exec"), {})
    printed = capsys.readouterr().out
    if view == "heads":
        assert np.array_equal(arrays["row"], traced.weights[1].mean(axis=0, dtype=np.float32)[6])
        assert f"weight {on_grid(traced, arrays['row']).max():.4f}" in printed and (tmp_path / "attention.jpg").exists()
    if view == "faithfulness":
        assert f"raw: deletion {arrays['curves_deletion_area'][0]:.3f}" in printed
    if view == "methods":
        assert f"chefer: largest share {arrays['shares'][3].max():.4f}" in printed
