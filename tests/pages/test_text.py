"""The Text page: every view draws, untrained and fetched; links restore it; its numbers are those of `tfsss.explain`."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfsss import weights
from tfsss.data.wordpieces import pieces
from tfsss.errors import InputError
from tfsss.explain import text, text_vectors
from tfsss.models.bert import VARIANTS
from tfsss.ui import downloads
from tfsss.ui.language import sentences
from tfsss.ui.text import attention_view, compare_view, padding_view
from tfsss.ui.text.controls import EXAMPLES
from tfsss.weights.registry import MINILM

VIEWS = ("attention", "pair", "padding", "compare")
FIRST, SECOND = EXAMPLES["pronoun"]
PICTURE = (attention_view, padding_view, compare_view)


@pytest.fixture(scope="module")
def untrained():
    return weights.untrained("bert", VARIANTS["minilm_l6"])


@pytest.fixture
def maps(monkeypatch):
    """What the page hands to its token maps: the map, and what else is said of it."""
    drawn = []
    for view in PICTURE:
        monkeypatch.setattr(view, "token_map", lambda shown, **more: drawn.append((shown, more)))
    return drawn


def shown(app) -> str:
    """Everything that stands on the page as HTML or text."""
    html = [element.proto.body for element in app.get("html")]
    return "\n".join(html + [element.value for element in (*app.markdown, *app.caption, *app.warning)])


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_in_both_languages(open_app, sound, view, lang):
    app = open_app("text", lang=lang, view=view)
    sound(app)
    assert not app.warning and not re.search(r"\{\w+\}", shown(app))
    assert app.session_state["text_view"] == view
    assert sentences(lang, "text")["absent"] in shown(app) and "bert_untrained" in shown(app)


@pytest.mark.parametrize("view", VIEWS)
def test_every_value_of_every_control_draws(open_app, sound, view):
    app = open_app("text", lang="en", view=view)
    for key, values in (("layer", (0, 5)), ("head", (0, 11)), ("extra", (16, 0)), ("after", (0, 6)),
                        ("draw", ("lines", "cells")), ("token", ("0", "3", "none"))):
        for value in values:
            app.session_state[f"text_{key}"] = value
            sound(app.run())
            assert not app.warning, (key, value)
    for name, texts in EXAMPLES.items():
        app.button(key=f"text_example_{name}").click().run()
        sound(app)
        assert not app.warning and (app.session_state["text_first"], app.session_state["text_second"]) == texts


def test_a_link_brings_everything_back(open_app, sound, maps):
    app = open_app("text", lang="en", view="pair", first="Who is it?", second="It is me.", layer="2", head="7", token="6")
    sound(app)
    (drawn, more), = maps
    assert more["pinned"] == 6 and drawn.rows[5:8] == ("[SEP]", "it", "is") and "Layer 2, head 7" in more["title"]
    assert app.query_params["token"] == "6"


@pytest.mark.parametrize("nonsense", [{"view": "none"}, {"layer": "9", "head": "-3"}, {"token": "99"}, {"draw": "x"},
                                      {"view": "padding", "extra": "1000"}, {"view": "compare", "after": "many"}])
def test_nonsense_in_the_address_still_draws(open_app, sound, maps, nonsense):
    sound(open_app("text", lang="en", **nonsense))
    assert maps


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize(("view", "texts", "error"), [
    ("attention", {"first": " "}, InputError("text.empty", number=1)),
    ("compare", {"second": " "}, InputError("text.empty", number=1)),
    ("pair", {"second": " "}, InputError("text.empty", number=2)),
    ("attention", {"first": "a " * 60}, InputError("text.too_long", number=1, pieces=62, limit=48)),
    ("padding", {"second": "a " * 60}, InputError("text.too_long", number=2, pieces=62, limit=48)),
])
def test_bad_input_is_one_sentence(open_app, sound, maps, view, texts, error, lang):
    app = open_app("text", lang=lang, view=view, **texts)
    sound(app)
    assert [warning.value for warning in app.warning] == [error.sentence(lang)] and not maps
    assert app.text_input(key="text_first").value  # the text stands there to be mended


def test_the_large_map_is_the_heads(open_app, maps, untrained):
    app = open_app("text", lang="en", layer="1", head="4", first="The cat saw the dog")
    done = text.read(untrained, (pieces("The cat saw the dog"),))
    (drawn, more), = maps
    assert np.array_equal(drawn.values, done.weights[1, 0, 4]) and drawn.rows == drawn.columns == done.pieces[0]
    assert list(drawn.row_ids) == done.ids[0].tolist() and drawn.vmax == pytest.approx(done.weights.max())
    assert more["badge"] == sentences("en", "text")["untrained"] and drawn.first == text.striking(done, 1, 4)
    habits = text.habits(done)
    received = done.weights[1, 0, 4].mean(axis=0)
    most = f"<b>{done.pieces[0][received.argmax()]}</b>: {100 * received.max():.0f} %"
    assert most in shown(app) and f"[CLS] gets {100 * habits.first[1, 4]:.0f} %" in shown(app)


def test_unknown_characters_are_named(open_app, sound, maps):
    app = open_app("text", lang="zh", first="猫在上海")
    sound(app)
    assert "[UNK] 猫" in maps[0][0].rows and "上" in maps[0][0].rows
    assert "[UNK]</b>：猫 在。" in shown(app)
    cut = open_app("text", lang="en", first="Antidisestablishmentarianism")
    count = sum(piece.startswith("##") for piece in pieces("Antidisestablishmentarianism").pieces)
    assert count > 3 and f"{count} of them go on inside a word" in shown(cut)


def test_the_padded_maps_are_those_of_explain(open_app, maps, untrained):
    app = open_app("text", lang="en", view="padding", extra="3", layer="0", head="2")
    made = text_vectors.padding(untrained, pieces(FIRST), pieces(SECOND), extra=3)
    masked, unmasked = (drawn for drawn, _ in maps)
    n = len(pieces(SECOND).ids)
    assert np.array_equal(masked.values, made.masked.weights[0, 1, 2, :n]) and not masked.allowed[:, n:].any()
    assert np.array_equal(unmasked.values, made.unmasked.weights[0, 1, 2, :n]) and unmasked.allowed.all()
    assert masked.vmax == unmasked.vmax and masked.columns[n:] == ("[PAD]",) * made.added
    words = shown(app)
    assert f"<b>{made.moved_unmasked.max():.2f}</b>" in words and f"{100 * made.lost.mean():.0f} % of its attention" in words
    assert all(f"<b>{value:.4f}</b>" in words for value in (made.sentence_unmasked, made.sentence_counted))


def test_texts_of_one_length_say_that_nothing_is_padded(open_app, sound, maps):
    app = open_app("text", lang="en", view="padding", first="The dog bit the man.", second="The man bit the dog.")
    sound(app)
    assert not maps and sentences("en", "text")["padding.none"].format(count=8) in shown(app)


def test_the_comparison_is_that_of_explain(open_app, maps, untrained):
    app = open_app("text", lang="en", view="compare", after="2")
    made = text_vectors.compare(untrained, pieces(FIRST), pieces(SECOND))
    (drawn, _), = maps
    assert np.array_equal(drawn.values, made.between[2]) and drawn.scale == "signed"
    assert drawn.rows == pieces(FIRST).pieces and drawn.columns == pieces(SECOND).pieces
    assert f"<b>{made.by_layer[2]:.3f}</b>" in shown(app)


def test_the_pairs_shares_are_those_of_explain(open_app, maps, untrained):
    app = open_app("text", lang="en", view="pair", layer="3", head="1")
    made = text_vectors.pair(untrained, pieces(FIRST, SECOND))
    words, split = shown(app), len(pieces(FIRST).ids)
    assert all(f">{share:.2f}</td>" in words for share in made.shares[3, 1].ravel())
    assert f'data-most="{made.moved.max():.4f}"' in words and maps[0][0].splits == (split,)


def test_once_fetched_it_is_minilm_that_runs(open_app, sound, fetched, maps):
    app = open_app("text", lang="en")
    sound(app)
    done = text.read(fetched, (pieces(FIRST),))
    (drawn, more), = maps
    assert np.array_equal(drawn.values, done.weights[1, 0, 2]) and not more["badge"]  # its last layer and head
    words = shown(app)
    assert MINILM.name in words and "never trained" not in words and sentences("en", "text")["absent"] not in words


def test_a_fetch_that_fails_gets_its_sentence(open_app, sound, monkeypatch):
    refused = InputError("weights.refused", requirement="x", reason="y")

    def refuse(*_):
        raise refused

    monkeypatch.setattr(weights, "get", refuse)
    app = open_app("text", lang="en")
    app.button(key="fetch_minilm_l6").click().run()
    sound(app)
    assert [warning.value for warning in app.main.warning] == [refused.sentence("en")]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("real", [False, True], ids=["untrained", "fetched"])
def test_the_script_makes_the_same_arrays_and_picture(open_app, request, monkeypatch, tmp_path, capsys, view, real):
    offered = {}
    monkeypatch.setattr(downloads, "downloads", lambda room, **parts: offered.update(parts) or [])
    if real:
        request.getfixturevalue("fetched")
    open_app("text", lang="zh", view=view, extra="2", layer="1", head="1", first="It's a \"naïve\" 猫, isn't it?")
    monkeypatch.chdir(tmp_path)
    exec(compile(offered["script"], "tfsss-text.py", "exec"), {})
    assert capsys.readouterr().out and Path("tfsss-text.png").read_bytes() == offered["png"]()
    assert Image.open(BytesIO(offered["png"]())).format == "PNG"
    assert ("untrained" in offered["script"].split("loaded = ")[1].split("\n")[0]) == (not real)
    arrays = offered["arrays"]()
    with np.load("tfsss-text.npz", allow_pickle=False) as made:
        assert set(made) == set(arrays) and len(made) > 8
        for name, values in arrays.items():
            np.testing.assert_array_equal(made[name], values, err_msg=name)
