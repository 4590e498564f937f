"""A stranger's visit in a real browser: each page, both languages, an upload, controls, and the numbers drawn."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.e2e.browser import PRESENT
from tfsss import weights
from tfsss.data.images import bundled, fit, load_image
from tfsss.data.wordpieces import pieces
from tfsss.explain import attention, text
from tfsss.explain.inputs import normalise
from tfsss.explain.mae import guess, masking
from tfsss.explain.sentence import sentence, words_of
from tfsss.figures.caption import LINE
from tfsss.models.bert import VARIANTS
from tfsss.ui.catalog import CATALOG
from tfsss.ui.language import sentences

PAGES = [listed.id for listed in CATALOG]
SHOTS = os.environ.get("TFSSS_SHOTS")  # a folder: the README's pictures are written there


@pytest.fixture(scope="module")
def forward():
    """`forward(file)`: what the attention page must draw of a picture, computed here."""
    loaded = weights.load("vit_photos112")

    def run(file: Path) -> attention.Trace:
        size = loaded.entry.input_size
        return attention.trace(loaded.model, normalise(fit(load_image(file), size, size), loaded.entry))
    return run


def drawn(page, nth: int = 0) -> dict[str, str]:
    """What a patch canvas says of itself: query, strongest patch, maximum."""
    canvas = page.locator(".canvas").nth(nth)
    canvas.wait_for(timeout=20_000)
    return canvas.evaluate("element => ({...element.dataset})")


def await_drawn(page, name: str, value: str, nth: int = 0) -> None:
    """Until the canvas says this of itself."""
    page.locator(".canvas").nth(nth).and_(page.locator(f"[data-{name}='{value}']")).wait_for(timeout=20_000)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_by_its_link_in_both_languages(visit, page, language):
    opened = visit(page, f"lang={language}", locale="de-DE")
    assert opened.locator("[data-testid=stMain] h1").inner_text().strip() == sentences(language, page)["title"]
    assert opened.locator("[data-testid=stAlertContentError]").count() == 0
    assert opened.get_by_text("Traceback").count() == 0
    assert opened.locator(".tfsss-foot").count() == 1


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_cut_off_on_a_phone(visit, page):
    opened = visit(page, "lang=zh", width=390, height=844)
    wide = opened.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    assert wide <= 390


def test_a_browser_that_asks_for_chinese_gets_it(visit):
    opened = visit("home", locale="zh-CN")
    assert opened.locator("[data-testid=stMain] h1").inner_text().strip() == sentences("zh", "home")["title"]


def test_the_attention_page_draws_the_numbers_of_the_forward(visit, forward):
    trace = forward(bundled()["temple"])
    last = trace.weights[-1].mean(axis=0, dtype=np.float32)
    opened = visit("attention", "image=temple")
    said = drawn(opened)
    patches = last[0, trace.num_prefix:]
    assert int(said["strongest"]) == patches.argmax()
    assert float(said["vmax"]) == pytest.approx(patches.max(), rel=1e-3)


def test_an_uploaded_picture_is_what_the_model_sees(visit, forward, wait_idle, tmp_path):
    file = tmp_path / "mine.png"
    y, x = np.mgrid[:240, :240]
    spot = np.where((y - 60) ** 2 + (x - 170) ** 2 < 900, 250, 30).astype(np.uint8)
    Image.fromarray(np.stack([spot, spot // 2, 255 - spot], -1)).save(file)
    opened = visit("attention")
    before = drawn(opened)
    opened.locator(".st-key-upload input[type=file]").set_input_files(file)
    opened.wait_for_url("**image=own**", timeout=20_000)
    wait_idle(opened)
    trace = forward(file)
    patches = trace.weights[-1].mean(axis=0, dtype=np.float32)[0, trace.num_prefix:]
    expect(opened.locator(".canvas").first).not_to_have_attribute("data-vmax", before["vmax"], timeout=20_000)
    said = drawn(opened)
    assert int(said["strongest"]) == patches.argmax()
    assert float(said["vmax"]) == pytest.approx(patches.max(), rel=1e-3)


def test_a_file_that_is_no_picture_gets_a_sentence_and_changes_nothing(visit, tmp_path):
    file = tmp_path / "holiday.jpg"
    file.write_text("these are words")
    opened = visit("attention", "lang=zh&image=coffee")
    before = drawn(opened)
    opened.locator(".st-key-upload input[type=file]").set_input_files(file)
    opened.locator("[data-testid=stSidebar] [data-testid=stAlert]").wait_for(timeout=20_000)
    assert "文字" in opened.locator("[data-testid=stSidebar] [data-testid=stAlert]").inner_text()
    after = drawn(opened)
    assert (after["strongest"], after["vmax"]) == (before["strongest"], before["vmax"])


def test_another_layer_draws_that_layer(visit, forward, wait_idle):
    trace = forward(bundled()["cat"])
    opened = visit("attention")
    knob = opened.locator(".st-key-attention_layer input[type=range]")
    knob.focus()
    knob.press("ArrowLeft")
    patches = trace.weights[-2].mean(axis=0, dtype=np.float32)[0, trace.num_prefix:]
    await_drawn(opened, "strongest", str(patches.argmax()))
    wait_idle(opened)
    assert float(drawn(opened)["vmax"]) == pytest.approx(patches.max(), rel=1e-3)
    assert "layer=" in opened.url


def test_hovering_and_clicking_a_patch_show_its_row_and_put_it_into_the_address(visit, forward):
    trace = forward(bundled()["cat"])
    last = trace.weights[-1].mean(axis=0, dtype=np.float32)
    gy, gx = trace.grid
    opened = visit("attention")
    stage = opened.locator(".canvas .stage").first
    stage.scroll_into_view_if_needed()
    box, patch = stage.bounding_box(), 3 * gx + 5
    token = trace.num_prefix + patch
    point = (box["x"] + 5.5 * box["width"] / gx, box["y"] + 3.5 * box["height"] / gy)
    opened.mouse.move(*point)
    await_drawn(opened, "query", str(token))
    row = last[token, trace.num_prefix:]
    assert int(drawn(opened)["strongest"]) == row.argmax()
    assert float(drawn(opened)["vmax"]) == pytest.approx(row.max(), rel=1e-3)
    opened.mouse.click(*point)
    opened.wait_for_url(f"**pin={token}**", timeout=20_000)
    again = visit("attention", opened.url.split("?")[1])
    await_drawn(again, "pinned", str(token))


def test_a_larger_patch_makes_a_shorter_sequence(visit, wait_idle):
    opened = visit("patches")
    board = opened.locator(".board").first
    before = board.get_attribute("aria-label")
    opened.locator(".st-key-patches_patch_size").get_by_text("28", exact=True).click()
    opened.wait_for_url("**patch_size=28**", timeout=20_000)
    expect(board).not_to_have_attribute("aria-label", before, timeout=20_000)
    wait_idle(opened)
    assert "4" in board.get_attribute("aria-label")  # 112 pixels hold 4 patches of 28


@pytest.mark.parametrize(("page", "evidence"), [("patches", 1), ("attention", 1), ("position", 0), ("masks", 0),
                                                ("text", 0), ("swin", 0), ("mae", 2)])
def test_predict_first_hides_the_answer_and_reveals_it(visit, page, evidence):
    """Of the pictures those alone are seen that the class guesses from; of their canvases the picture, not a map."""
    opened = visit(page, "predict=1")
    assert opened.locator(".st-key-answer_hidden").count() == 1
    assert opened.locator(".st-key-answer_hidden p:visible").count() == 0
    expect(opened.locator(".st-key-answer_hidden img:visible")).to_have_count(evidence)
    assert opened.locator(".st-key-answer_hidden canvas.heat:visible").count() == 0
    opened.locator(".st-key-reveal button").first.click()
    opened.locator(".st-key-answer").first.wait_for(timeout=20_000)
    assert opened.locator(".st-key-answer_hidden").count() == 0


@pytest.mark.parametrize(("page", "view"), [("swin", "step=shift"), ("mae", "view=shuffle&step=sort")])
def test_predict_first_shows_the_step_before_the_one_that_is_guessed(visit, page, view):
    opened = visit(page, f"predict=1&{view}")
    stage = opened.locator(f".st-key-{page}_motion canvas[data-step]")
    before = int(stage.get_attribute("data-step"))
    assert stage.is_visible()
    opened.locator(".st-key-reveal button").first.click()
    expect(stage).to_have_attribute("data-step", str(before + 1), timeout=20_000)


def test_another_language_renames_what_a_list_shows(visit):
    opened = visit("patches", "lang=en")
    opened.locator("[data-testid=stSidebar] .st-key-lang").get_by_text("中文").click()
    named = sentences("zh", "app")["weights.auto"]
    box = opened.locator(f"[data-testid=stSidebar] {PRESENT}[class*=st-key-app_weights]")
    expect(box.locator("input")).to_have_value(named, timeout=20_000)


def test_a_long_computation_can_be_stopped_and_asked_for_again(visit, wait_idle):
    opened = visit("attention", "view=faithfulness")
    words = sentences("en", "attention")
    opened.locator(".st-key-attention_measure button").click()
    opened.get_by_text("changed pictures through the model").wait_for(timeout=20_000)  # a part of it is done
    opened.locator(".st-key-stop_asked button").click()
    expect(opened.locator(".st-key-stop_asked")).to_have_count(0)
    wait_idle(opened)
    assert opened.get_by_text(words["areas"], exact=True).count() == 0
    expect(opened.get_by_text("Stopped after")).to_have_count(1)
    opened.locator(".st-key-attention_measure button").click()
    opened.get_by_text(words["areas"], exact=True).first.wait_for(timeout=60_000)
    expect(opened.locator(".st-key-stop_asked")).to_have_count(0)
    expect(opened.get_by_text("Stopped after")).to_have_count(0)


@pytest.mark.parametrize(("option", "address"), [("Coffee", "image=coffee"), ("Distances", "view=distances"),
                                                 ("blurred", "fill=blur")])
def test_a_click_on_anything_ends_what_is_being_measured(visit, wait_idle, option, address):
    opened = visit("attention", "view=faithfulness")
    opened.locator(".st-key-attention_measure button").click()
    opened.get_by_text("changed pictures through the model").wait_for(timeout=20_000)  # a part of it is done
    opened.get_by_role("radio", name=option).click()
    opened.wait_for_url(f"**{address}**", timeout=20_000)
    wait_idle(opened)
    expect(opened.locator(".st-key-stop_asked")).to_have_count(0)
    expect(opened.get_by_role("progressbar")).to_have_count(0)
    opened.go_back()  # to what was being measured: had it gone on to its end, it would be remembered
    expect(opened.get_by_text(sentences("en", "attention")["measure"])).to_be_visible(timeout=20_000)
    wait_idle(opened)
    assert opened.get_by_text(sentences("en", "attention")["areas"], exact=True).count() == 0


@pytest.mark.parametrize(("page", "query"), [("text", "lang=zh"), ("mae", "lang=en")])
def test_the_picture_can_be_taken_away_with_its_words(visit, tmp_path, page, query):
    opened = visit(page, query)
    opened.locator(".st-key-take_away button").first.click()
    with opened.expect_download() as taken:
        opened.locator(".st-key-download_png button").click()
    taken.value.save_as(tmp_path / "taken.png")
    words = np.asarray(Image.open(tmp_path / "taken.png").convert("L"))[-LINE:]
    assert 0.005 < (np.abs(words.astype(int) - words[-1, -1]) > 100).mean() < 0.3


def test_home_tiles_are_doors(visit):
    opened = visit("home", "image=flower&lang=zh")
    opened.locator(".st-key-tile_attention a").click()
    opened.wait_for_url("**/attention**", timeout=20_000)
    opened.get_by_role("heading", name=sentences("zh", "attention")["title"]).wait_for(timeout=20_000)
    opened.wait_for_url("**image=flower**", timeout=20_000)


def test_a_typed_sentence_is_what_attention_is_computed_on(visit):
    shown = sentence(words_of("one two three"))
    opened = visit("masks", "sentence=one+two+three")
    opened.get_by_text(f"(n, d) = ({len(shown.words)}, {shown.x.shape[1]})").first.wait_for(timeout=20_000)
    first = f"{shown.x[0, 0]:.2f}".replace("-", "−")
    assert opened.get_by_text(first, exact=True).count() > 0


def test_another_seed_hides_other_patches_and_its_loss_is_the_models(visit):
    loaded = weights.load("mae_photos112")
    pixels = fit(load_image(bundled()["cat"]), 112, 112)
    opened = visit("mae", "seed=3")
    for seed in (3, 4):
        made = guess(pixels, loaded, masking(loaded.entry.config, "random", 0.75, seed=seed))
        if seed == 4:
            field = opened.locator(".st-key-mae_seed input")
            field.fill("4")
            field.press("Enter")
        opened.get_by_text(f"{float(made.loss_masked):.3f}").first.wait_for(timeout=20_000)


def test_the_roll_of_the_windows_stands_in_the_address(visit, wait_idle):
    opened = visit("swin")
    opened.locator(".st-key-swin_step [role=radio]").nth(3).click()
    opened.wait_for_url("**step=shift**", timeout=20_000)
    rolled = sentences("en", "swin")["step.shift.alt"].split("{")[0]
    opened.locator(f".motion canvas[aria-label^='{rolled}']").first.wait_for(timeout=20_000)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_pointing_and_the_arrow_keys_show_where_a_word_looks(visit, language):
    row = text.read(weights.untrained("bert", VARIANTS["minilm_l6"]), (pieces("the cat saw a dog"),)).weights[2, 0, 5]
    opened = visit("text", f"lang={language}&first=the+cat+saw+a+dog&layer=2&head=5")
    token_map = opened.locator(".map")
    assert token_map.locator(".badge").inner_text() == sentences(language, "text")["untrained"]
    token_map.locator("svg text", has_text="saw").last.hover()
    expect(token_map).to_have_attribute("data-row", "3")
    expect(token_map.locator(".readout")).to_contain_text(f"{row[3].max():.3f}")
    token_map.locator(".board").focus()
    opened.keyboard.press("Home")
    opened.keyboard.press("ArrowDown")
    opened.wait_for_url("**token=1**", timeout=20_000)
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("ArrowRight")
    expect(token_map.locator(".readout")).to_contain_text(f"{row[1, 2]:.3f}")
    again = visit("text", opened.url.split("?")[1])
    expect(again.locator(".map")).to_have_attribute("data-pinned", "1")
    again.locator(".st-key-text_draw [role=radio]").nth(1).click()
    expect(again.locator(".map[data-draw=lines] .readout")).to_contain_text(f"{row[1].max():.3f}")
    again.locator(".map .board").press("Escape")
    expect(again.locator(".map")).to_have_attribute("data-pinned", "")


VIEWS = (("home", "home", "", "light"), ("patches", "patches", "image=coffee", "light"),
         ("attention", "attention", "image=coffee", "light"), ("position", "position", "kind=learned&view=grid", "light"),
         ("masks", "masks", "view=masks", "light"), ("swin", "swin", "image=temple&step=shift", "light"),
         ("mae", "mae", "image=flower", "light"), ("attention-zh-dark", "attention", "image=flower&lang=zh", "dark"))


@pytest.mark.parametrize(("name", "page", "query", "theme"), VIEWS)
def test_pictures_of_the_pages(visit, tmp_path, name, page, query, theme):
    opened = visit(page, query if "lang" in query else f"{query}&lang=en", color_scheme=theme)
    opened.wait_for_timeout(400)  # the canvas has faded in
    file = Path(SHOTS or tmp_path) / f"{name}.png"
    opened.screenshot(path=file)
    with Image.open(file) as shot:
        assert shot.size == (1280, 800)
        assert len(shot.convert("RGB").getcolors(2**20) or range(2**20)) > 500  # something is drawn on it


def test_controls_keep_their_values_when_a_view_is_left_and_opened_again(visit, wait_idle):
    """Streamlit keeps the value of a control in a fragment that has gone, and the browser must be told it again."""
    page = visit("attention", "lang=en&view=methods&fusion=max")
    for view in ("Tokens", "Methods"):
        page.get_by_role("radio", name=view, exact=True).click()
        wait_idle(page)
    expect(page.get_by_role("radio", name="max", exact=True)).to_have_attribute("aria-checked", "true")
    page = visit("masks", "lang=en&view=masks")
    for view in ("Loss per token", "Masks"):
        page.get_by_role("radio", name=view, exact=True).click()
        wait_idle(page)
    for chosen in ("Encoder-decoder", "Encoder self"):
        expect(page.get_by_role("radio", name=chosen)).to_have_attribute("aria-checked", "true")
    assert "key padding" in page.locator(".st-key-stage").inner_text().split("Rule:")[1][:40]
