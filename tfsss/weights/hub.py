"""Weights from the Hugging Face hub, through its own library `huggingface_hub` where that is installed.

Nothing is fetched but the weights and the two small files of settings beside them; nothing that is fetched is run. Kept
in the cache folder, up to a size, so that one visitor's download serves the next and the app runs without the network.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tfsss.errors import InputError
from tfsss.weights.home import POLL_SECONDS, home, locked
from tfsss.weights.reading import IN_A_FOLDER
from tfsss.weights.visitors import MEGABYTE, SETTINGS, SUFFIXES, check_size

CLIENT = Path(__file__).with_name("hub_client.py")
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
PART = re.compile(r"(model|pytorch_model)-\d+-of-\d+\.(safetensors|bin)")
KEPT_MEGABYTES = 2000  # of everything fetched; what was used longest ago goes first
SPARE_BYTES = 20_000_000
SIGNS = (  # class of the library's error -> ours; the first that fits
    ("ImportError", "hub_not_installed"), ("GatedRepoError", "hub_closed"), ("DisabledRepoError", "hub_closed"),
    ("RepositoryNotFoundError", "hub_no_repository"), ("HFValidationError", "hub_name"),
)

Watch = Callable[[int, int], None]  # bytes here, bytes in all; called ten times a second; what it raises ends the work


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a repository has that can be read here."""

    name: str  # organisation/repository
    revision: str  # of the repository, a commit
    files: tuple[str, ...]
    size_bytes: int  # of all of them


def is_installed() -> bool:
    """Whether the library is there."""
    return find_spec("huggingface_hub") is not None


def kept(name: str) -> Path | None:
    """The file or folder of a repository that was fetched before."""
    there = _place(name)
    try:
        chosen = weights_of({each.name: 0 for each in there.iterdir()}, name)
    except (InputError, OSError):
        return None
    os.utime(there)  # used just now
    return there if chosen[0] in IN_A_FOLDER else there / chosen[0]


def look_up(name: str, watch: Watch | None = None) -> Offer:
    """Ask what a repository has, and how large it is.

    Raises:  InputError: no such name, repository or network, no weights that are known, or too many of them.
    """
    def waiting() -> None:
        time.sleep(POLL_SECONDS)
        if watch is not None:
            watch(0, 0)

    said = _ask(["list", _checked(name)], name, waiting)
    files = said["files"]
    chosen = weights_of(files, name)
    chosen += tuple(each for each in SETTINGS if each in files)
    size = sum(files[each] for each in chosen)
    check_size(name, size)
    return Offer(name=name, revision=said["revision"], files=chosen, size_bytes=size)


def fetch(offer: Offer, watch: Watch | None = None) -> Path:
    """Bring what was offered into the cache folder.  Callers at the same time wait for the first.

    Returns: what `load_checkpoint` takes.
    Raises:  InputError: what stopped it; nothing half-made is left.
    """
    place = _place(offer.name)
    workshop = place.with_name(f".{place.name}.partial")

    def arriving() -> None:
        time.sleep(POLL_SECONDS)
        here = _size(workshop)
        check_size(offer.name, here)  # whatever had been said before
        if watch is not None:
            watch(min(here, offer.size_bytes), offer.size_bytes)

    place.parent.mkdir(parents=True, exist_ok=True)
    with locked(place.with_name(f".{place.name}.lock"), arriving):
        if found := kept(offer.name):
            return found
        free = shutil.disk_usage(place.parent).free
        if free < offer.size_bytes + SPARE_BYTES:
            raise InputError("own.disk_full", needed=round(offer.size_bytes / MEGABYTE), free=free // MEGABYTE)
        shutil.rmtree(workshop, ignore_errors=True)
        try:
            _ask(["fetch", offer.name, offer.revision, str(workshop), *offer.files], offer.name, arriving)
            shutil.rmtree(workshop / ".cache", ignore_errors=True)  # the library's notes
            os.replace(workshop, place)
        finally:
            shutil.rmtree(workshop, ignore_errors=True)
    _make_room(place)
    return kept(offer.name)


def from_hub(name: str) -> Path:
    """A repository's weights, fetched unless they are here: what `load_checkpoint` takes.

    Args:    name: "google/vit-base-patch16-224".
    """
    return kept(name) or fetch(look_up(name))


def weights_of(files: Mapping[str, int], name: str) -> tuple[str, ...]:
    """Which of a repository's files hold the weights, the one to be read first; safetensors where there is a choice.

    Raises:  InputError: there is none, or several under names that do not tell which is meant.
    """
    for usual in IN_A_FOLDER:
        if usual in files:
            stem = usual.split(".")[0]
            parts = sorted(each for each in files if (part := PART.fullmatch(each)) and part[1] == stem)
            return (usual, *parts) if usual.endswith(".index.json") else (usual,)
    for suffix in SUFFIXES:
        found = sorted(each for each in files if each.endswith(suffix) and "/" not in each)
        if len(found) == 1:
            return (found[0],)
        if found:
            raise InputError("own.hub_several", name=name, names=", ".join(found[:4]))
    raise InputError("own.hub_no_weights", name=name, kinds=", ".join(SUFFIXES))


def _checked(name: str) -> str:
    if not NAME.fullmatch(name) or ".." in name or "--" in name:
        raise InputError("own.hub_name", name=name[:100])
    return name


def _place(name: str) -> Path:
    return home() / "hub" / _checked(name).replace("/", "--")


def _ask(arguments: list[str], name: str, waiting: Callable[[], None]) -> dict[str, Any]:
    """Run the client, and `waiting` until it is done.  Raises: InputError: it could not."""
    if not is_installed():
        raise InputError("own.hub_not_installed")
    environment = os.environ | {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    with tempfile.TemporaryFile() as output:
        client = subprocess.Popen([sys.executable, "-P", str(CLIENT), *arguments], env=environment, stdout=output,
                                  stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while client.poll() is None:
                waiting()
        finally:
            client.kill()  # nothing, if it has ended by itself
            client.wait()
        output.seek(0)
        lines = output.read().decode(errors="replace").splitlines()
    try:
        said = json.loads(lines[-1])
    except (IndexError, ValueError) as error:
        raise InputError("own.hub_unreachable", name=name, reason=f"status {client.returncode}") from error
    if "error" in said:
        sign = next((ours for theirs, ours in SIGNS if theirs in said["error"]), "hub_unreachable")
        reason = said["message"].strip().split("\n")[0][:160].rstrip(".") or said["error"][0]
        raise InputError(f"own.{sign}", name=name, reason=reason)
    return said


def _size(folder: Path) -> int:
    """Bytes in a folder that somebody else is filling."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # moved since it was listed
                total += os.stat(os.path.join(place, name)).st_size
    return total


def _make_room(newest: Path) -> None:
    """Take away what was used longest ago, until what is kept is small enough."""
    whole = [each for each in newest.parent.iterdir() if each.is_dir() and not each.name.startswith(".")]
    total = _size(newest)
    for folder in sorted((each for each in whole if each != newest), key=lambda each: -each.stat().st_mtime):
        total += _size(folder)
        if total > KEPT_MEGABYTES * MEGABYTE:
            shutil.rmtree(folder, ignore_errors=True)
