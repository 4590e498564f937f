"""What visitors may bring: files up to a size, and files in the folder that the host of the server opens to them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tfsss.errors import InputError
from tfsss.weights.reading import IN_A_FOLDER, PICKLES

MEGABYTE = 2**20
MAX_MEGABYTES = 500  # of an upload or a download: ViT-B, Swin-B, and MAE's ViT-B with its decoder fit in float32
FOLDER = "TFSSS_WEIGHTS_DIR"  # the environment variable by which the host opens a folder
MOST_LISTED = 200
MOST_LOOKED_AT = 5000  # files and folders, so that a large disk opened by mistake holds nobody up
SUFFIXES = (".safetensors", *PICKLES)
SETTINGS = ("config.json", "preprocessor_config.json")
SHARD = re.compile(r"-\d+-of-\d+\.\w+$")


def check_size(name: str, size_bytes: int) -> None:
    """Raises InputError when a file, or all files of a repository together, are larger than what is taken."""
    if size_bytes > MAX_MEGABYTES * MEGABYTE:
        raise InputError("own.too_heavy", name=name, megabytes=round(size_bytes / MEGABYTE), limit=MAX_MEGABYTES)


def folder() -> Path | None:
    """The folder that the host opens, with no symbolic link left in it; None = there is none."""
    chosen = os.environ.get(FOLDER)
    found = Path(chosen).expanduser() if chosen else None
    return found.resolve() if found is not None and found.is_dir() else None


def listed() -> list[str]:
    """What lies in it that may be weights, as paths from it: files, and folders that `save_pretrained` made."""
    root, found, seen = folder(), [], 0
    if root is None:
        return found
    for place, folders, files in os.walk(root):
        folders.sort()
        seen += len(files) + len(folders)
        here = Path(place).relative_to(root)
        if any(name in files for name in IN_A_FOLDER):
            found.append(here.as_posix())
        found += [(here / name).as_posix() for name in sorted(files) if Path(name).suffix in SUFFIXES
                  and name not in IN_A_FOLDER and not SHARD.search(name)]
        if len(found) >= MOST_LISTED or seen >= MOST_LOOKED_AT:
            break
    return [path for path in found[:MOST_LISTED] if _is_inside(root / path, root)]


def allowed(path: str) -> Path:
    """A visitor's path from the folder, as a path of the machine.

    Where a link points is looked at, of the file and of everything beside it that is read with it; the link itself is
    returned, because what belongs to it lies beside the link.

    Raises:  InputError: no folder is open, the path or a link in it leads out of it, or there is nothing.
    """
    root = folder()
    if root is None:
        raise InputError("own.no_folder", variable=FOLDER)
    chosen = root / path
    if ".." in Path(path).parts or not _is_inside(chosen, root):
        raise InputError("own.outside", path=path)
    within = chosen if chosen.is_dir() else chosen.parent
    if not chosen.exists() or chosen.is_dir() and not any((chosen / name).is_file() for name in IN_A_FOLDER):
        raise InputError("own.not_there", path=path)
    beside = [each for each in within.iterdir() if each.name in (*SETTINGS, *IN_A_FOLDER) or SHARD.search(each.name)]
    if not all(_is_inside(each, root) for each in beside):
        raise InputError("own.outside", path=path)
    return chosen


def _is_inside(path: Path, root: Path) -> bool:
    try:
        path.exists()  # raises where `resolve` does not
        return path.resolve().is_relative_to(root)
    except (OSError, ValueError, RuntimeError):  # too long, a zero byte, links in a circle
        return False
