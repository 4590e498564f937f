"""A hub on this machine's disk, in the place of the real library: FAKE_HUB holds organisation/name/files."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace


class ConnectError(Exception):
    pass


class HFValidationError(ValueError):
    pass


class RepositoryNotFoundError(OSError):
    pass


class GatedRepoError(RepositoryNotFoundError):
    pass


def _repository(name: str) -> Path:
    """Raises what the real one does when there is no network, no such repository, or an agreement to be made."""
    if os.environ.get("FAKE_HUB_DOWN"):
        raise ConnectError("[Errno -2] Name or service not known\nand more")
    folder = Path(os.environ["FAKE_HUB"]) / name
    if not folder.is_dir():
        raise RepositoryNotFoundError(f"404 Client Error. Repository Not Found: {name}")
    if (folder / "gated").exists():
        raise GatedRepoError("403 Forbidden: ask for access")
    return folder


class HfApi:
    def model_info(self, name: str, *, files_metadata: bool, timeout: float, token: bool):
        assert files_metadata and timeout and token is False
        files = [each for each in _repository(name).rglob("*") if each.is_file()]
        return SimpleNamespace(sha="abc123", siblings=[
            SimpleNamespace(rfilename=each.relative_to(_repository(name)).as_posix(), size=each.stat().st_size)
            for each in files])


def hf_hub_download(name: str, file: str, *, revision: str, local_dir: str, token: bool) -> str:
    """Copy a file; where FAKE_HUB_STUCK is set, half of it, and then nothing more comes."""
    assert revision == "abc123" and token is False
    source, target = _repository(name) / file, Path(local_dir) / file
    notes = Path(local_dir) / ".cache" / "huggingface" / "download"
    notes.mkdir(parents=True, exist_ok=True)
    if os.environ.get("FAKE_HUB_STUCK"):
        (notes / f"{file}.incomplete").write_bytes(source.read_bytes()[:source.stat().st_size // 2])
        time.sleep(600)  # its process is ended long before
    shutil.copyfile(source, target)
    return str(target)
