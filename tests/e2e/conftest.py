"""A real browser and real servers for the tests in this folder. Without one they skip; CI must have it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright import sync_api as playwright

from tests.e2e.browser import ARGUMENTS, CHROMIUM, start_server, wait_idle

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture(scope="session")
def chromium() -> Iterator:
    """The browser, one for the session."""
    if not shutil.which(CHROMIUM):
        missing = f"no browser at {CHROMIUM}; install Debian's chromium or name one in CHROMIUM"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def serve(chromium, tmp_path_factory) -> Iterator[Callable[[Path], str]]:
    """`serve(script)` starts Streamlit on a free port of this machine, once a script, and gives the address."""
    running: dict[Path, tuple[subprocess.Popen, str]] = {}

    def start(script: Path) -> str:
        if script not in running:
            folder = tmp_path_factory.mktemp("server")  # with no fetched weights in it: what ships must do
            running[script] = start_server(script, folder / "streamlit.log", TFSSS_HOME=str(folder))
        return running[script][1]

    yield start
    for process, _ in running.values():
        process.terminate()
        process.wait(timeout=20)


def is_error(message) -> bool:
    """Streamlit's own search for its server asks below the page's path first, and is told 404: that is no error."""
    return message.type == "error" and "/_stcore/" not in message.location.get("url", "")


@pytest.fixture
def open_page(chromium) -> Iterator[Callable]:
    """`open_page(address, **context options)` gives an idle page; afterwards no page may have had a console error."""
    contexts, errors = [], []

    def visit(address: str, *, width: int = 1280, height: int = 800, before: Callable | None = None, **options):
        contexts.append(chromium.new_context(viewport={"width": width, "height": height}, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: errors.append(message.text) if is_error(message) else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        if before:
            before(page)
        page.goto(address)
        page.wait_for_selector("[data-testid=stMain]", timeout=30_000)
        wait_idle(page)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not errors, errors


@pytest.fixture(name="wait_idle")
def wait_idle_fixture() -> Callable:
    return wait_idle


@pytest.fixture
def visit(serve, open_page) -> Callable:
    """`visit("attention", "lang=zh")`: the app's page, idle, in a browser of its own."""
    def go(page: str, query: str = "", **options):
        opened = open_page(f"{serve(APP)}/{'' if page == 'home' else page}?{query}", **options)
        opened.locator(".tfsss-foot").wait_for(timeout=30_000)  # every page ends with it
        wait_idle(opened)
        return opened
    return go
