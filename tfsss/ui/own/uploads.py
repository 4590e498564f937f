"""Files that visitors upload: each in a folder of its own, which goes when its session does."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from streamlit import runtime

from tfsss.errors import InputError
from tfsss.weights.visitors import MEGABYTE, SUFFIXES, check_size

GRACE_S = 150  # Streamlit lets a session whose connection broke come back for 120
LOOK_S = 30
INDEX = ".index.json"


class File(Protocol):
    """An uploaded file, as Streamlit gives it."""

    name: str
    size: int

    def getbuffer(self) -> memoryview: ...


class Folders:
    """Which session has which folders; those of sessions that have ended are taken away."""

    def __init__(self):
        self._lock = threading.Lock()
        self._whole: tempfile.TemporaryDirectory | None = None  # goes with the program at the latest
        self._of: dict[str, dict[Path, Callable[[], None]]] = {}  # session -> folder -> what else goes with it
        self._seen: dict[str, float] = {}  # session -> when it was last there
        self._watched = False

    def new(self, session: str) -> Path:
        """A fresh folder, and somebody who looks after it."""
        with self._lock:
            if self._whole is None:
                self._whole = tempfile.TemporaryDirectory(prefix="tfsss-uploads-", ignore_cleanup_errors=True)
            folder = Path(tempfile.mkdtemp(dir=self._whole.name))
            self._of.setdefault(session, {})[folder] = lambda: None
            self._seen[session] = time.monotonic()
            if not self._watched:
                self._watched = True
                threading.Thread(target=self._watch, name="uploads", daemon=True).start()
        return folder

    def attach(self, session: str, folder: Path, forget: Callable[[], None]) -> None:
        """What else is given up with the folder."""
        with self._lock:
            if folder in self._of.get(session, {}):
                self._of[session][folder] = forget

    def drop(self, session: str, folder: Path) -> None:
        """Take one folder away."""
        with self._lock:
            forget = self._of.get(session, {}).pop(folder, None)
        if forget is not None:
            forget()
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self, now: float, is_there: Callable[[str], bool]) -> bool:
        """Take away what belongs to sessions that were last there more than GRACE_S before `now`.

        Returns: whether anything is left to look after.
        """
        with self._lock:
            for session in self._of:
                if is_there(session):
                    self._seen[session] = now
            gone = [session for session in self._of if now - self._seen[session] > GRACE_S or not self._of[session]]
            folders = [(session, folder) for session in gone for folder in self._of[session]]
        for session, folder in folders:
            self.drop(session, folder)
        with self._lock:
            for session in gone:
                if not self._of[session]:
                    del self._of[session], self._seen[session]
            self._watched = bool(self._of)
            return self._watched

    def _watch(self) -> None:
        while self.sweep(time.monotonic(), _is_there):
            time.sleep(LOOK_S)


FOLDERS = Folders()


def _is_there(session: str) -> bool:
    return runtime.exists() and runtime.get_instance().is_active_session(session)


def save(files: Sequence[File], folder: Path) -> tuple[Path, str]:
    """Write uploaded files into a folder, beside what may lie there.

    Args:    files: weights, and their settings; of these only the ending of the name counts ("config (1).json").
    Returns: the file to be read, and a digest of all files in the folder.
    Raises:  InputError: too large together, of another kind, or not one file of weights.
    """
    check_size(files[0].name, sum(file.size for file in files))
    free = shutil.disk_usage(folder).free
    if free < sum(file.size for file in files) + MEGABYTE:
        raise InputError("own.disk_full", needed=round(sum(file.size for file in files) / MEGABYTE),
                         free=free // MEGABYTE)
    for file in files:
        place = folder / _name(file.name)
        place.unlink(missing_ok=True)  # it may be linked to an earlier upload's
        place.write_bytes(file.getbuffer())
    there = sorted(folder.iterdir())
    found = [each for each in there if each.name.endswith(INDEX)] or [each for each in there if each.suffix in SUFFIXES]
    if len(found) != 1:
        raise InputError("own.one_file", count=len(found), kinds=", ".join(SUFFIXES))
    digest = hashlib.sha256()
    for each in there:
        digest.update(each.name.encode())
        with each.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return found[0], digest.hexdigest()


def _name(said: str) -> str:
    """A name that is one, whatever the browser said."""
    name = re.sub(r"[^\w.+-]", "_", re.split(r"[/\\]", said)[-1])[-100:].lstrip(".") or "_"
    suffix = Path(name).suffix.lower()
    if suffix not in (".json", *SUFFIXES):
        raise InputError("own.other_kind", name=name, kinds=", ".join(SUFFIXES))
    if suffix == ".json" and not name.endswith(INDEX):
        return "preprocessor_config.json" if name.startswith("preprocessor") else "config.json"
    return Path(name).stem + suffix
