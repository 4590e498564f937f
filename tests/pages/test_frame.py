"""What every page shares: language, picture, weights, lecture mode, and the address bar."""

from __future__ import annotations

import json
from io import BytesIO

import pytest
from PIL import Image

from tfsss import weights
from tfsss.data.images import bundled, load_image
from tfsss.errors import InputError
from tfsss.ui import foot
from tfsss.ui.catalog import CATALOG
from tfsss.ui.language import sentences

PAGES = [listed.id for listed in CATALOG]
VIEWS = [(page, name.removeprefix("view.")) for page in PAGES for name in sentences("en", page)
         if name.startswith("view.")]


def kind_of(page: str, view: str) -> dict[str, str]:
    """What else the address must say so that the page has this view."""
    kinds = {"pairs": "rotary", "bias": "alibi", "steps": "relative"}
    return {"kind": kinds.get(view, "learned")} if page == "position" else {}


def blocks(block) -> set[str]:
    """The keys of all containers below this one."""
    found = set()
    for child in getattr(block, "children", {}).values():
        key = getattr(getattr(child, "proto", None), "id", "")
        found |= blocks(child) | {str(key).rsplit("-", 1)[-1]}
    return found


def thumbs_of(app) -> tuple[str, list[str]]:
    """Which of the small pictures is chosen, and what they are called."""
    (sent,) = [each.proto for each in app.sidebar.get("bidi_component") if each.proto.component_name == "tfsss_thumbs"]
    data = json.loads(sent.json)
    return data["chosen"], [thumb["name"] for thumb in data["thumbs"]]


def picture_bytes(size: tuple[int, int] = (300, 200)) -> bytes:
    kept = BytesIO()
    Image.linear_gradient("L").convert("RGB").resize(size).save(kept, "PNG")
    return kept.getvalue()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_asks_its_question_in_both_languages(open_app, sound, page, language):
    app = open_app(page, lang=language)
    sound(app)
    assert app.title[0].value == sentences(language, page)["title"]


def test_the_language_control_translates_and_stands_in_the_address(open_app, sound):
    app = open_app()
    app.sidebar.button_group[0].set_value("zh").run()
    sound(app)
    assert app.title[0].value == sentences("zh", "home")["title"]
    assert app.query_params["lang"] == "zh"


def test_a_link_brings_its_picture(open_app, sound):
    app = open_app(image="temple")
    sound(app)
    assert app.session_state["image"] == "temple"


@pytest.mark.parametrize("page", ["masks", "text"])
def test_a_page_without_pictures_offers_none_and_loses_none(open_app, sound, page):
    app = open_app(page, image="temple")
    sound(app)
    assert not app.sidebar.file_uploader and app.query_params["image"] == "temple"
    app.switch_page("pages/attention.py").run()
    sound(app)
    assert app.session_state["image"] == "temple" and app.query_params["image"] == "temple"
    assert thumbs_of(app)[0] == "temple" and app.sidebar.file_uploader


@pytest.mark.parametrize("nonsense", [{"image": "../etc"}, {"lang": "fr"}, {"weights": "none"}, {"lecture": "maybe"}])
def test_nonsense_in_the_address_is_passed_over(open_app, sound, nonsense):
    app = open_app(**nonsense)
    sound(app)
    assert app.session_state["image"] == "cat"


def test_an_uploaded_picture_is_used_and_says_so_in_the_address(open_app, sound):
    app = open_app()
    app.sidebar.file_uploader[0].upload("mine.png", picture_bytes(), "image/png").run()
    sound(app)
    assert app.session_state["own_picture"].source_size == (300, 200)
    assert app.query_params["image"] == "own"


def test_a_bad_file_gets_a_sentence_and_the_earlier_picture_stays(open_app, sound):
    app = open_app("attention", lang="zh", image="coffee")
    app.sidebar.file_uploader[0].upload("notes.jpg", b"these are words", "image/jpeg").run()
    sound(app)
    assert app.session_state["image"] == "coffee"
    (warning,) = app.sidebar.warning
    with pytest.raises(InputError) as error:
        load_image(b"these are words")
    assert warning.value == error.value.sentence("zh")


def test_the_own_picture_can_be_left_and_taken_again(open_app, sound):
    app = open_app()
    app.sidebar.file_uploader[0].upload("mine.png", picture_bytes(), "image/png").run()
    for name in ("flower", "own"):
        app.session_state["image"] = name
        app.run()
        sound(app)
        chosen, names = thumbs_of(app)
        assert chosen == name and names[-1] == sentences("en", "images")["name.own"]


def test_after_a_good_file_a_bad_one_leaves_the_good_one(open_app, sound):
    app = open_app()
    app.sidebar.file_uploader[0].upload("mine.png", picture_bytes(), "image/png").run()
    app.sidebar.file_uploader[0].upload("notes.jpg", b"these are words", "image/jpeg").run()
    sound(app)
    assert app.session_state["image"] == "own" and app.session_state["own_picture"].source_size == (300, 200)
    assert any(sentences("en", "images")["name.own"] in caption.value for caption in app.sidebar.caption)


def test_a_link_made_with_somebodys_own_picture_says_that_it_lacks_it(open_app, sound):
    app = open_app(image="own")
    sound(app)
    assert app.session_state["image"] == "cat"
    assert app.sidebar.warning[0].value == InputError("app.not_in_link").sentence("en")


def test_choosing_absent_weights_says_which_ran_instead(open_app, sound):
    app = open_app(weights="vit_s14_dinov2")
    sound(app)
    instead = weights.REGISTRY[weights.best("vit")].name
    assert any(instead in caption.value for caption in app.sidebar.caption)


def test_a_fetch_that_fails_gets_its_sentence(open_app, sound, monkeypatch):
    wrong = InputError("weights.wrong_digest", expected="90a0", got="beef")

    def refuse(*_):
        raise wrong

    monkeypatch.setattr(weights, "get", refuse)
    app = open_app()
    app.sidebar.button(key="fetch_vit_s14_dinov2").click().run()
    sound(app)
    assert app.sidebar.warning[0].value == wrong.sentence("en")


def test_a_fetch_that_was_stopped_says_how_far_it_came(open_app, sound, monkeypatch):
    seen = []

    def get(weights_id, progress):
        progress(12_000_000, 90_000_000, "download")
        seen.append(weights_id)

    monkeypatch.setattr(weights, "get", get)
    app = open_app()
    app.session_state["fetch_stopped_vit_s14_dinov2"] = [12, 90]  # as Stop leaves it
    sound(app.run())
    said = sentences("en", "app")["fetch.stopped"].format(done=12, total=90)
    assert said in [caption.value for caption in app.sidebar.caption]
    app.sidebar.button(key="fetch_vit_s14_dinov2").click().run()
    sound(app)
    assert seen and said not in [caption.value for caption in app.sidebar.caption]  # asked for again


def test_lecture_mode_hides_nothing_but_the_sidebar_and_can_be_left(open_app, sound):
    app = open_app("patches", lecture="1")
    sound(app)
    app.button(key="presenter_leave").click().run()
    sound(app)
    assert "lecture" not in app.query_params


def test_predict_first_hides_the_answer_until_it_is_asked_for(open_app, sound):
    app = open_app("patches", predict="1")
    assert "answer_hidden" in blocks(app.main)
    app.button(key="reveal").click().run()
    sound(app)
    assert "answer_hidden" not in blocks(app.main) and "answer" in blocks(app.main)
    app.session_state["patches_view"] = "costs"
    sound(app.run())
    assert "answer_hidden" in blocks(app.main)  # another question


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("page", "view"), VIEWS)
def test_predict_first_asks_each_views_own_question(open_app, sound, page, view, language):
    app = open_app(page, lang=language, view=view, predict="1", **kind_of(page, view))
    sound(app)
    words = sentences(language, page)
    asked = [text for name, text in words.items() if name.startswith(f"predict.{view}.") or name == f"predict.{view}"]
    assert asked and f"**{asked[0]}**" in [each.value for each in app.markdown]
    assert "?" in asked[0] if language == "en" else "？" in asked[0]


@pytest.mark.parametrize(("page", "address", "expected"), [
    ("attention", {"layer": "3", "image": "temple", "lang": "en"},
     ["Attention", "Heads", "ViT", "Picture: Temple", "Layer: 3", "Query: class token"]),
    ("masks", {"view": "masks", "site": "decoder", "decoder_all": "causal", "lang": "zh"},
     ["掩码", "哪个注意力：解码器自注意力", "显示哪一对：0: ab1 → 8BA", "同时满足：因果"]),
    ("position", {"view": "waves", "length": "32", "lang": "en"},
     ["Position", "Waves", "Encoding: Sinusoidal, interleaved", "Length: 32"]),
    ("mae", {"view": "targets", "perfect": "1", "ratio": "0.5", "lang": "en"},
     ["MAE", "Targets", "Mask ratio: 0.5", "Perfect guess"])])
def test_the_picture_says_what_it_shows(open_app, sound, monkeypatch, page, address, expected):
    said = []
    monkeypatch.setattr(foot, "captioned", lambda offers, words: said.append(words) or offers)
    sound(open_app(page, **address))
    parts = said[-1].split(" · ")
    assert all(any(part.startswith(each) for part in parts) for each in expected), said[-1]
    picture = sentences(address["lang"], "app")["image"]
    assert (page in ("attention", "mae")) == any(part.startswith(picture) for part in parts)


def notes_of(room: str, language: str = "en") -> dict[frozenset[str], str]:
    """What a page says to look for, by the views that it concerns; none = all of them."""
    return {frozenset(name.split(".")[1:]): text for name, text in sentences(language, room).items()
            if name.split(".")[0] == "look"}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("page", "view"), [(page, view) for page, view in VIEWS if page not in ("attention", "swin")])
def test_what_concerns_the_view_comes_first(open_app, sound, page, view, language):
    app = open_app(page, lang=language, view=view, **kind_of(page, view))
    sound(app)
    notes = notes_of(page, language)
    own = [text for views, text in notes.items() if not views or view in views]
    others = [text for views, text in notes.items() if views and view not in views]
    assert own and others and any(view in views for views in notes)
    (folded,) = [each for each in app.expander if each.label == sentences(language, "app")["look_others"]]
    assert folded.markdown[0].value == "\n".join(others)
    assert "\n".join(own) in [each.value for each in app.markdown]


def test_another_view_chosen_in_the_stage_brings_its_notes(open_app, sound):
    app = open_app("position", lang="en")
    app.session_state["position_view"] = "similarity"
    sound(app.run())
    notes = notes_of("position")
    first = "\n".join([notes[frozenset()], notes[frozenset({"similarity"})]])
    assert first in [each.value for each in app.markdown]


def test_there_are_eight_pictures_to_choose_from(open_app):
    chosen, names = thumbs_of(open_app(image="coins"))
    assert chosen == "coins" and names == [sentences("en", "images")[f"name.{name}"] for name in bundled()]
