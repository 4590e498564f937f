"""The patch canvas in a real browser: what it draws, what the server hears, what travels, and how fast it is."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import numpy as np
import pytest
from playwright.sync_api import expect

from tfsss.figures.bitmap import from_bitmap
from tfsss.figures.scales import lut
from tfsss.ui.canvas import canvas_text

APPS = Path(__file__).parent / "apps"
GX, GY = 12, 8


def centre(stage, cell: int, gy: int = GY, gx: int = GX) -> tuple[float, float]:
    """The middle of a patch, in the page's pixels."""
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    return box["x"] + (cell % gx + 0.5) * box["width"] / gx, box["y"] + (cell // gx + 0.5) * box["height"] / gy


def data(canvas) -> dict[str, str]:
    return canvas.evaluate("element => ({...element.dataset})")


def await_server(page, words: str) -> None:
    page.get_by_text(words).wait_for(timeout=10_000)


class Traffic:
    """How many bytes went each way, message by message."""

    def __init__(self):
        self.sent: list[int] = []
        self.received: list[int] = []

    def listen(self, page) -> None:
        page.on("websocket", self.follow)

    def follow(self, socket) -> None:
        socket.on("framesent", lambda frame: self.sent.append(len(frame)))
        socket.on("framereceived", lambda frame: self.received.append(len(frame)))


@pytest.fixture
def traffic() -> Traffic:
    return Traffic()


@pytest.fixture
def pin_page(serve, open_page, traffic):
    page = open_page(serve(APPS / "canvas_app.py"), before=traffic.listen)
    page.wait_for_selector(".canvas[data-draws]")
    return page


def test_hovering_redraws_the_row_without_the_server(pin_page, traffic):
    canvas = pin_page.locator(".canvas").first
    stages = canvas.locator(".stage")
    traffic.sent.clear()
    for cell in (54, 0, 95):
        pin_page.mouse.move(*centre(stages.nth(cell % 2), cell))
        assert data(canvas)["query"] == str(cell + 1)
        words = f"query patch row {cell // GX} column {cell % GX}"
        assert canvas.locator(".readout").inner_text() == words
        assert canvas.locator(".number").first.inner_text().startswith("strongest key row")
    await_server(pin_page, "server: pinned=None")
    assert not traffic.sent


def test_the_number_drawn_is_the_number_of_the_matrix(pin_page):
    """The strongest weight as printed, and the colours of the row, against a matrix computed here."""
    canvas = pin_page.locator(".canvas").first
    pin_page.mouse.move(*centre(canvas.locator(".stage").first, 40))
    row = reference_row(41)
    best = int(row.argmax())
    words = canvas.locator(".number").first.inner_text()
    assert words == f"strongest key row {best // GX} column {best % GX}, weight {float(f'{row[best]:.3g}')}"
    assert float(data(canvas)["vmax"]) == pytest.approx(row.max(), rel=1e-6)
    assert_drawn(canvas, row)


def test_after_its_fade_the_row_is_the_pinned_one(pin_page):
    canvas = pin_page.locator(".canvas").first
    canvas.locator(".board").press("Home")
    canvas.locator(".board").press("ArrowDown")
    await_server(pin_page, "server: pinned=1 ")
    pin_page.evaluate("() => new Promise(done => setTimeout(done, 400))")
    assert_drawn(canvas, reference_row(1))


def assert_drawn(canvas, row: np.ndarray) -> None:
    """The first panel shows these numbers, 0 to their maximum, to one step of the scale (they travel as 8 bits)."""
    drawn = np.array(canvas.evaluate("""element => {
        const heat = element.querySelector('.heat');
        return [...heat.getContext('2d').getImageData(0, 0, heat.width, heat.height).data];
    }""")).reshape(-1, 4)[:, :3]
    expected = lut("viridis")[np.round(255 * row / row.max()).astype(int)]
    assert np.abs(drawn - expected).max() <= 4


def reference_row(token: int) -> np.ndarray:
    """The weights on patches that tests/e2e/apps/canvas_app.py gives this query."""
    random = np.random.default_rng(0)
    place = np.stack(np.mgrid[:GY, :GX], -1).reshape(-1, 2)
    distance = np.linalg.norm(place[:, None] - place[None], axis=-1)
    weights = np.exp(random.normal(size=(97, 97)) * 0.4)
    weights[1:, 1:] *= np.exp(-distance / 2)
    weights[:, 0] = 20
    return (weights / weights.sum(axis=1, keepdims=True))[token, 1:]


def test_click_keys_and_field_move_one_pin(pin_page):
    page, canvas = pin_page, pin_page.locator(".canvas").first
    page.mouse.click(*centre(canvas.locator(".stage").nth(1), 30))
    await_server(page, "server: pinned=31 ")
    assert "pin=31" in page.url
    expect(page.get_by_label("Query token")).to_have_value("31")
    page.mouse.move(*centre(canvas.locator(".stage").first, 77))
    assert data(canvas)["query"] == "31"  # pinned: the pointer now reads keys
    assert canvas.locator(".number").first.inner_text().startswith("key row 6 column 5, weight 0.")
    board = canvas.locator(".board")
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowLeft"):
        board.press(key)
    await_server(page, f"server: pinned={31 + GX - 1} ")
    assert "query patch row 3 column 5; all strongest key row" in board.get_attribute("aria-label")
    assert "Escape" in canvas.locator(".live").inner_text()
    field = page.get_by_label("Query token")
    field.fill("7")
    field.press("Enter")
    await_server(page, "server: pinned=7 ")
    page.wait_for_function("() => document.querySelector('[data-testid=stBidiComponentIsolated]')"
                           ".shadowRoot.querySelector('.canvas').dataset.pinned === '7'")
    board.press("Escape")
    await_server(page, "server: pinned=None")
    assert "pin=" not in page.url.replace("pin=&", "").removesuffix("pin=")


def test_prefix_token_is_a_query_too(pin_page):
    canvas = pin_page.locator(".canvas").first
    button = canvas.locator(".token")
    button.click()
    await_server(pin_page, "server: pinned=0 ")
    assert button.get_attribute("aria-pressed") == "true"
    assert canvas.locator(".readout").inner_text() == "query class token"
    canvas.locator(".board").press("ArrowDown")
    await_server(pin_page, "server: pinned=1 ")
    canvas.locator(".board").press("ArrowUp")
    await_server(pin_page, "server: pinned=0 ")


def test_painting_and_erasing(pin_page):
    page, canvas = pin_page, pin_page.locator(".canvas").nth(1)
    stage = canvas.locator(".stage")
    page.mouse.move(*centre(stage, 0))
    page.mouse.down()
    page.mouse.move(*centre(stage, 5))
    page.mouse.up()
    await_server(page, "painted=6")
    assert from_bitmap(page.get_by_label("Painted set").input_value(), (GY, GX)).nonzero()[1].tolist() == list(range(6))
    page.mouse.move(*centre(stage, 2))
    page.mouse.down()
    page.mouse.move(*centre(stage, 3))
    page.mouse.up()
    await_server(page, "painted=4")
    canvas.locator(".board").press("Space")
    await_server(page, "painted=5")  # the keyboard's cursor stands where the stroke ended
    assert canvas.locator(".readout").inner_text() == "5 of 96 patches painted"
    assert canvas.locator(".live").inner_text().startswith("patch row 0 column 3; painted")


def test_a_link_restores_pin_and_painted_set(serve, open_page):
    page = open_page(f"{serve(APPS / 'canvas_app.py')}/?pin=31&set=gAYAEACABgAQAAAA&lang=zh")
    page.wait_for_selector(".canvas[data-pinned='31']")
    await_server(page, "server: pinned=31 painted=8")
    assert page.locator(".readout").first.inner_text() == canvas_text("zh")["query_patch"].format(row=2, column=6)


def test_settings_travel_without_the_arrays(serve, open_page, traffic):
    page = open_page(serve(APPS / "canvas_size_app.py"), before=traffic.listen)
    page.wait_for_selector(".canvas[data-draws]")
    assert 66_000 < max(traffic.received) <= 120_000
    traffic.received.clear()
    page.mouse.click(*centre(page.locator(".stage").first, 30, 16, 16))
    await_server(page, "pinned=31")
    assert sum(traffic.received) < 15_000


@pytest.mark.parametrize(("heads", "limit"), [(1, 120_000), (6, 600_000)])
def test_payload_and_hover_time_of_dinov2(serve, open_page, traffic, heads, limit):
    page = open_page(f"{serve(APPS / 'canvas_size_app.py')}/?heads={heads}", before=traffic.listen)
    page.wait_for_selector(".canvas[data-draws]")
    assert max(traffic.received) <= limit
    canvas = page.locator(".canvas")
    stage = canvas.locator(".stage").first
    times = []
    for cell in range(0, 256, 11):
        page.mouse.move(*centre(stage, cell, 16, 16))
        assert data(canvas)["query"] == str(cell + 1)
        times.append(float(data(canvas)["lastDrawMs"]))
    print(f"{heads} heads: {max(traffic.received)} bytes; hover {median(times):.2f} ms median, {max(times):.2f} ms most")
    assert median(times) < 16


def test_touch_dark_phone_and_reduced_motion(serve, open_page):
    page = open_page(serve(APPS / "canvas_app.py"), width=390, height=844, has_touch=True, is_mobile=True,
                     color_scheme="dark", reduced_motion="reduce")
    canvas = page.locator(".canvas").first
    page.wait_for_selector(".canvas[data-draws]")
    page.touchscreen.tap(*centre(canvas.locator(".stage").first, 30))
    await_server(page, "server: pinned=31 ")
    canvas.locator(".board").press("ArrowRight")
    await_server(page, "server: pinned=32 ")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert canvas.locator(".token").bounding_box()["height"] >= 44
