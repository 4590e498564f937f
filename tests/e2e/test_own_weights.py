"""A visitor's own weights in a real browser: the file goes up, and what is drawn is what that model computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from tests.pages.own_weights import VITS, randomised
from tfsss.data.images import bundled, fit, load_image
from tfsss.explain import attention
from tfsss.explain.inputs import normalise
from tfsss.models.vit import VisionTransformer
from tfsss.ui.language import sentences
from tfsss.weights import load_checkpoint


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """A small ViT that nobody trained."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(randomised(VisionTransformer(VITS["registers"]), 3).state_dict(), path)
    return path


def drawn(page) -> dict[str, str]:
    """What the patch canvas says of itself."""
    canvas = page.locator(".canvas").first
    canvas.wait_for(timeout=20_000)
    return canvas.evaluate("element => ({...element.dataset})")


@pytest.mark.parametrize(("language", "width", "scheme"), [("en", 1280, "light"), ("zh", 390, "dark")])
def test_an_uploaded_model_is_what_is_drawn(visit, wait_idle, file, language, width, scheme):
    loaded = load_checkpoint(file, "vit")
    side = loaded.entry.input_size
    traced = attention.trace(loaded.model, normalise(fit(load_image(bundled()["cat"]), side, side), loaded.entry))
    patches = traced.weights[-1].mean(axis=0, dtype=np.float32)[0, traced.num_prefix:]

    page = visit("attention", f"lang={language}", width=width, height=844, color_scheme=scheme)
    before, said = drawn(page), sentences(language, "own")
    if width < 600:
        page.get_by_test_id("stExpandSidebarButton").click()
    page.locator("[data-testid=stSidebar] summary", has_text=said["title"]).click()
    page.locator(".st-key-own_upload input[type=file]").set_input_files(file)
    page.wait_for_url("**weights=upload**", timeout=30_000)
    wait_idle(page)
    about = page.locator("[class*=st-key-own_about]")
    about.get_by_text("tiny.safetensors").wait_for(timeout=20_000)
    assert said["assumed.num_heads"].format(value=2) in about.inner_text()
    page.locator(f".canvas[data-strongest='{patches.argmax()}']").first.wait_for(timeout=20_000)
    after = drawn(page)
    assert float(after["vmax"]) == pytest.approx(patches.max(), rel=1e-3)
    assert after["vmax"] != before["vmax"]
    assert page.get_by_text("(l, h, n, n) = (12, 2, 54, 54)").count() == 1

    about.get_by_role("button").click()
    page.locator(f".canvas[data-vmax='{before['vmax']}']").first.wait_for(timeout=20_000)
    assert "weights=" not in page.url


def test_a_file_that_holds_no_weights_gets_a_sentence_and_changes_nothing(visit, tmp_path):
    bad = tmp_path / "notes.pth"
    bad.write_text("these are words")
    page = visit("attention", "lang=zh")
    before = drawn(page)
    page.locator("[data-testid=stSidebar] summary", has_text=sentences("zh", "own")["title"]).click()
    page.locator(".st-key-own_upload input[type=file]").set_input_files(bad)
    warning = page.locator("[data-testid=stSidebar] [data-testid=stAlert]")
    warning.wait_for(timeout=20_000)
    assert "notes.pth" in warning.inner_text() and "已损坏" in warning.inner_text()
    assert drawn(page)["vmax"] == before["vmax"]
