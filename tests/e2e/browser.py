"""Starting the app and a browser on this machine: for the tests in this folder and for the benchmarks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = ("--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
             "--disable-component-update --disable-sync").split()
IDLE = """() => {
    const app = document.querySelector('[data-testid=stApp]');
    return app?.dataset.testScriptState === 'notRunning' && !document.querySelector('[data-stale=true]');
}"""
# An element, but not what Streamlit keeps hidden of the run before, in case it comes again, until the run has ended
PRESENT = "[data-testid=stElementContainer]:not([data-retained])"
STARTUP_S = 60


def start_server(script: Path, log: Path, **variables: str) -> tuple[subprocess.Popen, str]:
    """The server's process and its address, once it answers.  Args: variables: of its environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"server.port": port, "server.address": "127.0.0.1", "server.headless": "true",
               "server.fileWatcherType": "none", "browser.gatherUsageStats": "false", "server.showEmailPrompt": "false"}
    command = [sys.executable, "-m", "streamlit", "run", str(script), *(f"--{k}={v}" for k, v in options.items())]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", **variables}
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
    raise RuntimeError(f"streamlit did not come up:\n{log.read_text(errors='replace')[-2000:]}")


def wait_idle(page, timeout_ms: int = 30_000) -> None:
    """Until the script has run to its end and nothing on the page is of the run before."""
    page.wait_for_function(IDLE, timeout=timeout_ms)
