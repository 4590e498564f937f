"""The Masks page: every option draws, links restore it, and its numbers are those of `tfsss.explain`."""

from __future__ import annotations

import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tfsss import weights
from tfsss.data.wordpieces import pieces
from tfsss.explain import masks, strings, text
from tfsss.explain.leaks import leaks
from tfsss.explain.sentence import sentence
from tfsss.ui.language import sentences
from tfsss.ui.masks import taking
from tfsss.ui.masks.batch_view import STAGES
from tfsss.ui.masks.sentence_view import STEPS

SOURCES = ("ab1", "zebra9", "q")
EVERY_VIEW = [*({"view": "attention", "step": step} for step in STEPS),
              *({"view": "masks", "stage": stage} for stage in STAGES),
              {"view": "blocked"}, {"view": "leak"}, {"view": "loss"}]


@pytest.fixture(scope="module")
def loaded():
    return weights.load("strings")


def shown(app) -> str:
    """Everything that stands on the page as HTML or text."""
    html = [element.proto.body for element in app.get("html") if "tfsss-masks" in element.proto.body]
    return "\n".join(html + [element.value for element in (*app.markdown, *app.caption, *app.warning)])


def cells(app, title: str) -> list[list[str]]:
    """The numbers of the table with this name."""
    (body,) = re.findall(rf'aria-label="{re.escape(title)}">(.*?)</table>', shown(app))[:1]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr.*?</tr>", body)]
    return [row for row in rows if row]


def numbers(app, title: str) -> np.ndarray:
    return np.array([[float(cell.replace("−", "-").replace("∞", "inf")) for cell in row] for row in cells(app, title)])


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("address", EVERY_VIEW, ids=str)
def test_every_view_in_both_languages(open_app, sound, address, lang):
    app = open_app("masks", lang=lang, **address)
    sound(app)
    assert not app.warning and "<table" in shown(app) and not re.search(r"\{\w+\}", shown(app))
    assert app.session_state["masks_view"] == address["view"]


def test_every_option_of_every_control(open_app, sound):
    app = open_app("masks", lang="en", step="heads")
    for key, values in (("heads", (1, 4, 2)), ("seed", (9, 0)), ("positions", (True,)), ("causal", (True, False)),
                        ("query", ("0", "4")), ("key", ("0", "4"))):
        for value in values:
            app.session_state[f"masks_{key}"] = value
            sound(app.run())
    app = open_app("masks", lang="en", view="masks")
    for site in masks.SITES:
        for stage in STAGES:
            app.session_state["masks_site"], app.session_state["masks_stage"] = site, stage
            sound(app.run())
    app.session_state["masks_stage"] = "attention"
    for key, values in (("layer", (0, 1)), ("head", (3, 0)), ("pair", ("1", "2", "0")),
                        ("cross_all", (["causal"], ["cross", "query_padding"], [])),
                        ("cross_or", (["key_padding"], []))):
        for value in values:
            app.session_state[f"masks_{key}"] = value
            sound(app.run())
            assert not app.warning


@pytest.mark.parametrize("view", ["blocked", "leak"])
@pytest.mark.parametrize("site", masks.SITES)
def test_blocked_rows_and_leaks_of_every_site(open_app, sound, view, site):
    sound(open_app("masks", lang="zh", view=view, site=site, pair="2"))


def test_forwards_and_backwards(open_app, sound):
    app = open_app("masks", lang="en")
    for step in STEPS[1:]:
        sound(app.button(key="masks_forward").click().run())
        assert app.query_params["step"] == step
    assert app.button(key="masks_forward").disabled
    app.button(key="masks_back").click().run()
    assert app.session_state["masks_step"] == "heads"


def test_a_link_brings_everything_back(open_app, sound):
    app = open_app("masks", lang="en", view="leak", sources="Ab zz9", targets="BA 0ZZ", pair="1", site="decoder",
                   decoder_all="none", decoder_or="causal.cross", token="3")
    sound(app)
    names = ("sources", "pair", "decoder_all", "decoder_or", "token")
    assert [app.session_state[f"masks_{name}"] for name in names] == ["Ab zz9", "1", [], ["causal", "cross"], "3"]
    app = open_app("masks", lang="en", step="weights", sentence="we see what we do", causal="1", query="3", heads="4")
    assert numbers(app, "weights")[0].tolist() == [1, 0, 0, 0, 0] and app.session_state["masks_query"] == "3"


@pytest.mark.parametrize("nonsense", [
    {"step": "9", "query": "77", "seed": "x", "heads": "3"}, {"view": "nowhere"}, {"view": "masks", "pair": "5"},
    {"view": "masks", "encoder_all": "dog.cat", "layer": "88", "head": "-1"}, {"view": "leak", "token": "99"},
    {"view": "loss", "smoothing": "7"}])
def test_nonsense_in_the_address_still_draws(open_app, sound, nonsense):
    app = open_app("masks", lang="en", **nonsense)
    sound(app)
    assert "<table" in shown(app)


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("bad", [
    {"sentence": " "}, {"sentence": "one two three four five six seven eight nine"}, {"view": "masks", "sources": " "},
    {"view": "masks", "sources": "ab," + "x" * 25}, {"view": "leak", "sources": "naïve"}, {"view": "loss", "sources": "猫"},
    {"view": "blocked", "sources": "a b c d e f g"}, {"view": "masks", "targets": "A B"}], ids=str)
def test_bad_input_is_one_sentence(open_app, sound, bad, lang):
    app = open_app("masks", lang=lang, **bad)
    sound(app)
    assert len(app.warning) == 1 and "<table" not in shown(app)


def test_the_sentences_numbers(open_app):
    words = ("the", "cat", "saw", "the", "dog")
    expected = sentence(words)
    app = open_app("masks", lang="en", step="scores")
    assert np.allclose(numbers(app, "scores = Q Kᵀ"), expected.whole.scores[0], atol=0.0051)
    assert np.allclose(numbers(app, "Kᵀ"), expected.whole.k[0].T, atol=0.0051)
    app.session_state["masks_step"] = "join"
    app.run()
    assert np.allclose(numbers(app, "output"), expected.split.output, atol=0.0051)
    assert np.allclose(numbers(app, "output of one undivided head"), expected.whole.output, atol=0.0051)


def test_a_heads_numbers_and_what_is_hatched(open_app, loaded):
    pairs = masks.batch(SOURCES)
    one = strings.one_head(strings.run(loaded, pairs), "decoder", 0, 3, 1)
    app = open_app("masks", lang="en", view="masks", site="decoder", layer="0", head="3", pair="1")
    assert np.allclose(numbers(app, "weights"), one.weights, atol=0.0051)
    assert (np.isneginf(numbers(app, "masked")) == ~one.allowed).all()
    table = re.search(r'aria-label="weights">(.*?)</table>', shown(app)).group(1)
    hatched = [kinds == "blocked" for kinds in re.findall(r'<td class="(.*?)"', table)]
    assert hatched == (~one.allowed).ravel().tolist()


def test_every_convention_and_blocked_rows(open_app, loaded):
    made = masks.conventions(masks.mask(masks.batch(SOURCES), "encoder", masks.ORDINARY["encoder"]))
    app = open_app("masks", lang="en", view="masks", stage="mask")
    assert np.array_equal(np.array(cells(app, "True = blocked")) == "T", made.blocked[0])
    assert np.array_equal(numbers(app, "added: 0 or −inf"), made.additive_inf[0])
    assert np.array_equal(numbers(app, "added: 0 or −1e9"), made.additive_finite[0])
    app = open_app("masks", lang="en", view="blocked")
    assert np.isnan(numbers(app, "−inf, then softmax")[4:]).all() and "7 of 7 rows are NaN" in shown(app)
    assert (numbers(app, "−1e9 added")[4:] == 0.14).all() and (numbers(app, "−inf, blocked rows = 0")[4:] == 0).all()


def test_a_long_table_is_small_and_writes_the_row_that_is_pointed_at(open_app, sound, loaded):
    one = strings.one_head(strings.run(loaded, masks.batch(("58+967", "12+9"))), "encoder", 1, 0, 0)
    app = open_app("masks", lang="en", view="masks", sources="58+967 12+9")
    sound(app)
    assert len(one.keys) == 22 and {cell for row in cells(app, "weights") for cell in row} == {""}
    rows = re.findall(r'<tr data-row="(\d+)">(.*?)</tr>', shown(app))
    written = [re.findall(r"<td[^>]*>(.*?)</td>", line) for _, line in rows]
    assert [int(row) for row, _ in rows] == [row for row in range(22) for _ in range(4)] and written[0] == []
    found = np.array([[float(cell.replace("−", "-")) for cell in line] for line in written[3::4]])
    assert np.allclose(found, one.weights, atol=0.0051)


@pytest.mark.parametrize("address", [{"view": "masks", "stage": "mask"}, {"view": "blocked"}, {"view": "leak"}],
                         ids=str)
@pytest.mark.parametrize("site", masks.SITES)
def test_every_table_of_a_long_string_draws(open_app, sound, address, site):
    app = open_app("masks", lang="en", sources="58+967 abcdefghijklmnopqrstuvwx", site=site, **address)
    sound(app)
    assert not app.warning and 'data-row="0"' in shown(app)


def test_only_pairs_that_exist_can_be_chosen(open_app, sound):
    app = open_app("masks", lang="en", view="loss", sources="ab cd", pair="1")
    (pairs,) = [box for box in app.selectbox if box.label == "Pair shown"]
    assert pairs.options == ["0: ab → BA", "1: cd → DC"] and app.session_state["masks_pair"] == "1"
    app.text_input(key="masks_sources").set_value("ab").run()
    sound(app)
    assert app.session_state["masks_pair"] == "0" and "pair" not in app.query_params


def test_the_leak_is_found_and_the_mask_holds(open_app, loaded):
    assert "data-total=\"0\"" in shown(open_app("masks", lang="en", view="leak", site="decoder"))
    groups = masks.ORDINARY | {"decoder": (("key_padding",),)}
    found = leaks(loaded, masks.batch(SOURCES), "decoder", 0, groups)
    app = open_app("masks", lang="en", view="leak", site="decoder", decoder_all="key_padding")
    assert f'data-total="{found.leaked.sum()}"' in shown(app) and found.leaked.any()
    assert np.allclose(numbers(app, "change of the output"), found.change, atol=0.051)
    app.button(key="masks_reset").click().run()
    assert "data-total=\"0\"" in shown(app)


@pytest.mark.parametrize("address", [{}, {"ignore": "0"}, {"smoothing": "0.1"}], ids=str)
def test_the_loss(open_app, loaded, address):
    done = strings.run(loaded, masks.batch(SOURCES, ("8BA", "wrong", "Q")))
    loss = strings.token_loss(done, ignore_padding="ignore" not in address,
                              smoothing=float(address.get("smoothing", 0)))
    app = open_app("masks", lang="en", view="loss", targets="8BA wrong Q", **address)
    assert f'data-mean="{loss.mean:.6f}"' in shown(app)
    assert np.allclose(numbers(app, "Loss of every place of the batch"), loss.losses, atol=0.0051)


@pytest.mark.parametrize("address", [{"step": "heads"}, {"view": "masks"}, {"view": "blocked"}, {"view": "leak"},
                                     {"view": "loss"}, {"view": "masks", "model": "minilm", "row": "2"}], ids=str)
def test_what_can_be_taken_away(open_app, fetched, monkeypatch, tmp_path, capsys, address):
    taken, made = [], taking.script
    monkeypatch.setattr(taking, "script", lambda given: taken.append(given) or made(given))
    open_app("masks", lang="en", **address)
    assert Image.open(BytesIO(taking.numbers_png(taken[0].tables))).format == "PNG"
    arrays = taken[0].arrays()
    monkeypatch.chdir(tmp_path)
    exec(compile(made(taken[0]), "script.py", "exec"), {})
    kept = np.load(tmp_path / "tfsss-masks.npz")
    assert set(kept.files) == set(arrays) and (tmp_path / "tfsss-masks.png").exists() and capsys.readouterr().out
    for name, array in arrays.items():
        assert np.array_equal(kept[name], array, equal_nan=array.dtype.kind == "f"), name


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("stage", STAGES)
def test_minilm_beside_the_encoder_decoder(open_app, sound, fetched, stage, lang):
    app = open_app("masks", lang=lang, view="masks", model="minilm", stage=stage, row="2")
    sound(app)
    words = shown(app)
    assert not app.warning and "<table" in words and not re.search(r"\{\w+\}", words)
    assert "blocked" in words and any("all-MiniLM" in element.proto.body for element in app.get("html"))


def test_minilms_numbers_and_what_is_hatched(open_app, fetched):
    texts = ("Why?", "It is cold outside.")
    done = text.read(fetched, [pieces(each) for each in texts], groups=(("causal", "key_padding"),))
    one = text.one_head(done, 0, 2, 0)
    app = open_app("masks", lang="en", view="masks", model="minilm", texts=" / ".join(texts), layer="0", head="2",
                   encoder_all="causal.key_padding")
    assert np.allclose(numbers(app, "weights"), one.weights, atol=0.0051)
    assert (np.isneginf(numbers(app, "masked")) == ~one.allowed).all() and (~one.allowed[:, 4:]).all()
    app.session_state["masks_stage"] = "ids"
    app.run()
    assert cells(app, "ids: MiniLM reads")[0][:5] == ["[CLS] 101", "why 2339", "? 1029", "[SEP] 102", "pad 0"]
    app.session_state["masks_stage"] = "mask"
    app.run()
    assert np.array_equal(np.array(cells(app, "True = blocked")) == "T", ~one.allowed)


@pytest.mark.parametrize("bad", [" ", "a/" * 7, "word " * 50], ids=["nothing", "too many", "too long"])
def test_bad_sentences_for_minilm_are_one_sentence(open_app, sound, fetched, bad):
    app = open_app("masks", lang="zh", view="masks", model="minilm", texts=bad)
    sound(app)
    assert len(app.warning) == 1 and "<table" not in shown(app)


def test_while_minilm_is_not_here_its_button_is(open_app, sound, monkeypatch):
    asked = []
    monkeypatch.setattr(weights, "get", lambda weights_id, progress: asked.append(weights_id))
    app = open_app("masks", lang="en", view="masks", model="minilm")
    sound(app)
    assert sentences("en", "masks")["minilm.absent"] in shown(app) and "<table" not in shown(app)
    app.button(key="fetch_minilm_l6").click().run()
    sound(app)
    assert asked == ["minilm_l6"] and app.button(key="fetch_minilm_l6")  # it came to nothing: the button is there again
    app.session_state["masks_model"] = "strings"
    assert "<table" in shown(app.run())


def test_homes_tile_is_the_sentences(open_app, sound):
    app = open_app("home", lang="en", sentence="you see me")
    sound(app)
    assert not app.warning and app.text_input(key="masks_sentence").value == "you see me"
    sound(open_app("home", lang="zh"))
    assert len(open_app("home", lang="en", sentence="1 2 3 4 5 6 7 8 9").warning) == 1
