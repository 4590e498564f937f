"""A real browser and real servers for the tests in this folder. Without one they skip; CI must have it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")

REPOSITORY = Path(__file__).parents[2]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = ("--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
             "--disable-component-update --disable-sync").split()
IDLE = """() => {
    const app = document.querySelector('[data-testid=stApp]');
    return app?.dataset.testScriptState === 'notRunning' && !document.querySelector('[data-stale=true]');
}"""
STARTUP_S = 60


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
            log = tmp_path_factory.mktemp("server") / "streamlit.log"
            running[script] = start_server(script, log)
        return running[script][1]

    yield start
    for process, _ in running.values():
        process.terminate()
        process.wait(timeout=20)


def start_server(script: Path, log: Path) -> tuple[subprocess.Popen, str]:
    """The server's process and its address, once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"server.port": port, "server.address": "127.0.0.1", "server.headless": "true",
               "server.fileWatcherType": "none", "browser.gatherUsageStats": "false", "server.showEmailPrompt": "false"}
    command = [sys.executable, "-m", "streamlit", "run", str(script), *(f"--{k}={v}" for k, v in options.items())]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=subprocess.STDOUT)
    wait_for_health(process, f"http://127.0.0.1:{port}", log)
    return process, f"http://127.0.0.1:{port}"


def wait_for_health(process: subprocess.Popen, address: str, log: Path) -> None:
    """Returns when the server says it is well; ends it and fails with its log if it does not."""
    for _ in range(STARTUP_S * 5):
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
                return
        except OSError:
            try:
                process.wait(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                continue
    process.terminate()
    pytest.fail(f"streamlit did not come up:\n{log.read_text(errors='replace')[-2000:]}")


@pytest.fixture
def open_page(chromium) -> Iterator[Callable]:
    """`open_page(address, **context options)` gives an idle page; afterwards no page may have had a console error."""
    contexts, errors = [], []

    def visit(address: str, *, width: int = 1280, height: int = 800, before: Callable | None = None, **options):
        contexts.append(chromium.new_context(viewport={"width": width, "height": height}, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
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


def wait_idle(page, timeout_ms: int = 30_000) -> None:
    """Until the script has run to its end and nothing on the page is of the run before."""
    page.wait_for_function(IDLE, timeout=timeout_ms)


@pytest.fixture(name="wait_idle")
def wait_idle_fixture() -> Callable:
    return wait_idle
