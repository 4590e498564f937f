"""A visitor's own weights as named tensors, read without running anything that the file brings along."""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tfsss.errors import InputError

PICKLES = (".bin", ".pth", ".pt", ".ckpt")
IN_A_FOLDER = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
# What training scripts put the model's tensors under; DINO's teacher is the network that its authors evaluate.
WRAPPERS = ("teacher", "student", "model", "state_dict")
EVERYWHERE = ("module.", "_orig_mod.", "model.")  # what DataParallel, torch.compile and Lightning put before every name

SWOLLEN = 4  # times its own size that a file's tensors may take: tied ones take twice, a number repeated has no end

# Official training scripts save their settings beside the tensors: a bag of plain values that can run nothing.
torch.serialization.add_safe_globals([argparse.Namespace])


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a file holds, before anybody knows what it is."""

    file: Path
    size_bytes: int  # of all shards
    digest: str  # sha256 of the file and of what stands beside it, first 12 hex digits
    tensors: dict[str, Tensor]
    wrapper: tuple[str, ...]  # the keys under which they were found, outermost first
    beside: tuple[str, ...]  # what else was there: an optimizer, the other network of a pair, an epoch
    settings: Mapping[str, Any]  # config.json, or nothing
    preprocessing: Mapping[str, Any]  # preprocessor_config.json, or nothing


def read(path: Path | str) -> Checkpoint:
    """Read a file, the index of a sharded one, or the folder that `save_pretrained` made.

    Args:    path: .safetensors, .bin, .pth, .pt or .ckpt; *.index.json; or a folder with one of the usual names.
    Raises:  InputError: not there, not whole, another kind of file, or a pickle that wants more than tensors.
    """
    file = _file_of(Path(path))
    shards = _shards(file) if file.suffix == ".json" else [file]
    contents = [_content(shard) for shard in shards]
    tensors, wrapper, beside = _unwrap(contents[0] if len(contents) == 1 else
                                       {name: tensor for content in contents for name, tensor in content.items()})
    if not tensors:
        raise InputError("checkpoint.no_tensors", file=file.name)
    for prefix in EVERYWHERE:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    size = sum(shard.stat().st_size for shard in shards)
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) > SWOLLEN * size:
        raise InputError("checkpoint.swollen", file=file.name)
    settings, preprocessing = _json(file.parent / "config.json"), _json(file.parent / "preprocessor_config.json")
    return Checkpoint(
        file=file, size_bytes=size, digest=_digest(shards, settings, preprocessing), tensors=tensors, wrapper=wrapper,
        beside=beside, settings=settings, preprocessing=preprocessing)


def _file_of(path: Path) -> Path:
    """The file that is meant.  Raises: InputError: there is none, or it is of another kind."""
    if path.is_dir():
        there = [path / name for name in IN_A_FOLDER if (path / name).is_file()]
        if not there:
            raise InputError("checkpoint.empty_folder", folder=path, names=", ".join(IN_A_FOLDER))
        return there[0]
    if not path.is_file():
        raise InputError("checkpoint.not_found", path=path)
    if path.suffix not in (".safetensors", *PICKLES) and not path.name.endswith(".index.json"):
        raise InputError("checkpoint.other_kind", file=path.name, kinds=", ".join((".safetensors", *PICKLES)))
    return path


def _shards(index: Path) -> list[Path]:
    """The files that an index names; only neighbours of it, whatever it says."""
    named = _json(index).get("weight_map")
    if not isinstance(named, dict) or not named:
        raise InputError("checkpoint.damaged", file=index.name)
    shards = [index.parent / Path(str(name)).name for name in sorted(set(map(str, named.values())))]
    for shard in shards:
        if not shard.is_file():
            raise InputError("checkpoint.no_shard", file=index.name, shard=shard.name)
        if shard.suffix not in (".safetensors", *PICKLES):
            raise InputError("checkpoint.other_kind", file=shard.name, kinds=", ".join((".safetensors", *PICKLES)))
    return shards


def _content(file: Path) -> Mapping[str, Any]:
    """What one file holds.  Raises: InputError: damaged, or it wants to run something."""
    _check_unpacked(file)
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"(?:GLOBAL|class|function) ([\w.]+)", str(error))
        if wanted is None:
            raise InputError("checkpoint.damaged", file=file.name) from error
        raise InputError("checkpoint.refused", file=file.name, wanted=wanted.group(1)) from error
    except PermissionError as error:
        raise InputError("checkpoint.not_permitted", file=file.name) from error
    except (SafetensorError, OSError, RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError,
            AssertionError) as error:  # whatever a mangled archive makes of the reader
        raise InputError("checkpoint.damaged", file=file.name) from error
    if not isinstance(content, Mapping):
        raise InputError("checkpoint.no_tensors", file=file.name)
    return content


def _check_unpacked(file: Path) -> None:
    """Raises InputError for a packed archive: torch.save packs nothing, a bomb does, and so does a whole program."""
    if not zipfile.is_zipfile(file):
        return
    try:
        with zipfile.ZipFile(file) as archive:
            packed = any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist())
            program = any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError("checkpoint.damaged", file=file.name) from error
    if program:
        raise InputError("checkpoint.refused", file=file.name, wanted="TorchScript")
    if packed:
        raise InputError("checkpoint.packed", file=file.name)


def _unwrap(content: Mapping[str, Any]) -> tuple[dict[str, Tensor], tuple[str, ...], tuple[str, ...]]:
    """The tensors, the keys that led to them, and what lay beside the way."""
    way, beside = [], []
    while inner := next((key for key in WRAPPERS if isinstance(content.get(key), Mapping)), None):
        beside += [str(key) for key in content if key != inner]
        way.append(inner)
        content = content[inner]
    beside += [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    return tensors, tuple(way), tuple(beside)


def _json(file: Path) -> dict[str, Any]:
    """A JSON file's object; empty where there is no file.  Raises: InputError: it is no JSON object."""
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError("checkpoint.no_json", file=file.name) from error
    if not isinstance(found, dict):
        raise InputError("checkpoint.no_json", file=file.name)
    return found


def _digest(shards: list[Path], *settings: Mapping[str, Any]) -> str:
    """The same for the same weights under the same settings, wherever they lie."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for shard in shards:
        with shard.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]
