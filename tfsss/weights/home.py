"""Where downloaded weights live, and who may write there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

POLL_SECONDS = 0.1  # how often a waiting or watching process looks up


def home() -> Path:
    """The cache folder: `TFSSS_HOME`, or `tfsss` in the user's cache directory of this platform."""
    if chosen := os.environ.get("TFSSS_HOME"):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        parent = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        parent = "~/Library/Caches"
    else:
        parent = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(parent).expanduser().absolute() / "tfsss"


@contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock file, against other processes and other threads of this one, while the block runs.

    The operating system lets go of it when a process dies, however it dies; the empty file stays.

    Args:    path: the lock file, in a folder that exists.
             waiting: called again and again while somebody else holds the lock; what it raises ends the waiting.
    """
    with path.open("ab") as file:
        while not _try_lock(file):
            waiting()
        try:
            yield
        finally:
            _unlock(file)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: BinaryIO) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:  # held elsewhere
            return False
        return True

    def _unlock(file: BinaryIO) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # held elsewhere
            return False
        return True

    def _unlock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
