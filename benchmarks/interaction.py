"""How long a visitor waits, in a real browser: from the click to the painted page.

Run:     python benchmarks/interaction.py [page ...]      (needs requirements-dev.txt and a Chromium)
Prints:  a table of median and 95th percentile of 20, in ms, warm; and the start of the server until Home is drawn.
Targets: 60 ms where no model runs or its forward is cached, 300 ms for a new picture through DINOv2, hover 16 ms,
         start 6 s.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, TimeoutError, sync_playwright

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from tests.e2e.browser import ARGUMENTS, CHROMIUM, start_server, wait_idle  # noqa: E402
from tfsss.data.images import bundled  # noqa: E402

REPEATS, WARM_UP = 20, 4
STILL_MS = 150

# From the visitor's event until the frame with the last change that can be seen is drawn, once the page shows something
# else than before and has been still for a while. What Streamlit says of its runs is not enough: a quick run begins and
# ends between two frames and is never seen to run, and a second upload makes two, of which the first draws the old
# picture. Its marks of what is of the last run (they fade an element after half a second) cannot be seen, and do not
# count.
CLOCK = """([event, stillMs]) => {
    window.clock?.stop();
    const main = document.querySelector('[data-testid=stMain]');
    const sidebar = document.querySelector('[data-testid=stSidebar]');
    const canvases = () => [...main.querySelectorAll('[data-testid=stBidiComponentIsolated]')].map(({shadowRoot}) =>
        shadowRoot.textContent + [...shadowRoot.querySelectorAll('[aria-label], .canvas, img')].map((element) =>
            [element.ariaLabel, element.src, element.dataset.vmax, element.dataset.strongest]));
    const texts = () => [...main.querySelectorAll('[data-testid=stElementContainer]')].filter((element) =>
        !element.querySelector('.tfsss-foot')).map((element) => element.textContent);
    const images = () => [...main.querySelectorAll('img')].map((image) => image.src);
    const shown = () => JSON.stringify([texts(), images(), canvases()]);
    const idle = () => document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning' &&
        !document.querySelector('[data-stale=true]');
    const before = shown(), clock = window.clock = {};
    let started = 0, changed = 0, painted = 0, asked = false;
    const start = () => { started ||= performance.now(); };
    const drawn = new MessageChannel(); // what is posted before a frame is drawn arrives after it
    drawn.port1.onmessage = () => { painted = performance.now(); };
    const change = () => {
        changed = performance.now();
        if (!asked) requestAnimationFrame(() => { asked = false; drawn.port2.postMessage(0); });
        asked = true;
    };
    document.addEventListener(event, start, {capture: true, once: true});
    document.addEventListener('load', change, {capture: true}); // a picture's bytes come after its element
    const unseen = ({type, attributeName, target, oldValue}) => type === 'attributes' && (
        target.getAttribute(attributeName) === oldValue || attributeName === 'data-stale' ||
        attributeName === 'class' && target.dataset.testid === 'stElementContainer');
    const observer = new MutationObserver((records) => { if (!records.every(unseen)) change(); });
    for (const part of [main, sidebar]) {
        observer.observe(part, {attributeOldValue: true, childList: true, characterData: true, subtree: true});
    }
    const timer = setInterval(() => {
        const still = painted > changed && performance.now() - changed > stillMs;
        if (!started || !still || !idle() || shown() === before) return;
        clock.ms = painted - started;
        clock.stop();
    }, 50);
    clock.stop = () => {
        clearInterval(timer);
        observer.disconnect();
        document.removeEventListener(event, start, {capture: true});
        document.removeEventListener('load', change, {capture: true});
    };
}"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the table.  act: what the visitor does the n-th time."""

    page: str
    what: str
    target: int
    act: Callable[[Page, int], None]
    event: str = "click"


def segments(key: str) -> Callable[[Page, int], None]:
    """Clicks the option after the chosen one."""
    def act(page: Page, turn: int) -> None:
        options = page.locator(f".st-key-{key} [role=radio]")
        options.first.wait_for()
        checked = options.evaluate_all("all => all.findIndex(option => option.ariaChecked === 'true')")
        options.nth((checked + 1) % options.count()).click()
    return act


def thumbnails(page: Page, turn: int) -> None:
    """Goes back and forth between two pictures whose forwards are cached."""
    page.get_by_role("radio", name=("Coffee", "Cat")[turn % 2]).check()


def uploads(folder: Path) -> Callable[[Page, int], None]:
    """Uploads a picture that the server has never seen."""
    def act(page: Page, turn: int) -> None:
        with Image.open(bundled()["astronaut"]) as image:
            picture = np.array(image.convert("RGB"))
        picture = np.roll(picture, random.randrange(picture.shape[1]), axis=1)  # another picture, as large to decode
        file = folder / f"new{turn}.png"
        Image.fromarray(picture).save(file)
        page.locator(".st-key-upload input[type=file]").set_input_files(file)
    return act


def cases(folder: Path) -> Iterator[Case]:
    """Every row."""
    new = uploads(folder)
    for page in ("home", "patches", "attention", "mae"):
        yield Case(page=page, what="another picture, seen before", target=60, act=thumbnails)
    for page, key in (("patches", "patch_size"), ("attention", "query"), ("position", "view"), ("masks", "step"),
                      ("swin", "step"), ("mae", "pattern")):
        yield Case(page=page, what=key, target=60, act=segments(f"{page}_{key}"))
    for page in ("home", "patches", "attention", "mae"):
        yield Case(page=page, what="a new picture through the model", target=300, act=new, event="change")


def measure(page: Page, case: Case) -> list[float]:
    """Milliseconds of each repeat, warm-up left out."""
    kept = []
    for turn in range(WARM_UP + REPEATS):
        page.evaluate(CLOCK, [case.event, STILL_MS])
        case.act(page, turn)
        try:
            page.wait_for_function("window.clock.ms", timeout=8_000)
            kept.append(page.evaluate("window.clock.ms"))
        except TimeoutError:
            print(f"{case.page}, {case.what}: time {turn} changed nothing within 8 s and is not counted")
    return kept[WARM_UP:]


def hover(page: Page) -> list[float]:
    """Milliseconds that the canvas took to redraw, over patches along a diagonal."""
    box, kept = page.locator(".canvas .stage").first.bounding_box(), []
    for turn in range(WARM_UP + REPEATS):
        part = (turn + 0.5) / (WARM_UP + REPEATS)
        page.mouse.move(box["x"] + box["width"] * part, box["y"] + box["height"] * part)
        page.wait_for_timeout(30)
        kept.append(float(page.locator("[data-last-draw-ms]").first.get_attribute("data-last-draw-ms")))
    return kept[WARM_UP:]


def row(page: str, what: str, times: list[float], target: int) -> None:
    """One line of the table."""
    if not times:
        raise RuntimeError(f"{page}, {what}: nothing changed at all")
    print(f"| {page} | {what} | {np.median(times):.0f} | {np.percentile(times, 95):.0f} | {target} |", flush=True)


def main(wanted: list[str]) -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        folder = Path(name)
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        started = time.perf_counter()
        server, address = start_server(REPOSITORY / "app.py", folder / "streamlit.log")
        try:
            visit = browser.new_context(viewport={"width": 1280, "height": 800})
            page = visit.new_page()
            page.goto(address)
            page.wait_for_selector("[data-testid=stMain] h1", timeout=60_000)
            wait_idle(page)
            print(f"`streamlit run` to Home drawn: {time.perf_counter() - started:.1f} s (target 6)\n")
            print("| page | change | median ms | p95 ms | target |\n|---|---|---|---|---|")
            for case in cases(folder):
                if wanted and case.page not in wanted:
                    continue
                page.goto(f"{address}/{'' if case.page == 'home' else case.page}")
                page.wait_for_selector(".tfsss-foot", timeout=60_000)  # every page ends with it
                wait_idle(page)
                row(case.page, case.what, measure(page, case), case.target)
            for name in ("patches", "attention"):
                page.goto(f"{address}/{name}")
                page.wait_for_selector(".canvas .stage", timeout=60_000)
                wait_idle(page)
                row(name, "hovering a patch (drawing alone)", hover(page), 16)
        finally:
            server.terminate()
            server.wait(timeout=20)
            browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
