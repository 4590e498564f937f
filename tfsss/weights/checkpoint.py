"""Anyone's own weights: from a file of transformers, timm or an authors' release to a model to be looked into."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import isqrt
from pathlib import Path

import torch

from tfsss.errors import InputError
from tfsss.weights.loading import Loaded
from tfsss.weights.reading import Checkpoint, read
from tfsss.weights.recognise import Recognised, recognise
from tfsss.weights.registry import FAMILIES, Entry

LARGEST = 1024  # side of a picture, whatever a settings file says
MOST_TABLE = {"vit": 64, "mae": 40}  # patches a side of the position table; an MAE takes no smaller picture
MOST_GRID = 40  # patches a side of what a ViT is shown,
MOST_WEIGHTS = 50_000_000  # and attention weights of one picture, all layers and heads: 100 MB in half precision
NAMED = 6  # how many tensors an error names before it only counts
USES = {  # family -> the pages that can show it
    "vit": ("patches", "position", "attention"),
    "mae": ("mae", "patches", "position", "attention"),  # the last three through its encoder: family="vit"
    "swin": ("swin", "position"),
    "convnext": (),  # none yet
}


def load_checkpoint(path: Path | str, family: str | None = None, *, num_heads: int | None = None) -> Loaded:
    """Recognise a file of weights, build our model of it, and fill every parameter, strictly.

    `entry.facts` says whose file it is (`source`), what no one had told and was taken from habit (`assumed`, with
    "num_heads" among them where it applies), which tensors have no part in what is shown (`set_aside`: name -> reason),
    and what it can be used for (`uses`).

    Args:    path: as `reading.read` takes it.
             family: what it is needed as; None = what it is. "vit" takes an MAE's encoder too, "mae" needs a decoder.
             num_heads: of a ViT's blocks, for a file that does not tell.
    Raises:  InputError: it cannot be read, is nothing known, is of another family, or lacks tensors or has too many.
    """
    checkpoint = read(path)
    found = recognise(checkpoint, num_heads=num_heads)
    model_id = f"file_{checkpoint.digest}" + (f"_{num_heads}_heads" if num_heads else "")
    if family not in (None, found.family):
        found = _as_family(found, family, checkpoint.file.name)
        model_id += f"_{family}"
    kind = FAMILIES[found.family]
    _check(found, checkpoint.file.name)
    model = kind.model(found.config)
    model.load_state_dict(found.state)  # half precision becomes float32 here
    entry = _entry(model_id, checkpoint, found, sum(parameter.numel() for parameter in model.parameters()))
    return Loaded(model=model.eval().requires_grad_(False), entry=entry)


def _as_family(found: Recognised, family: str, file: str) -> Recognised:
    """An MAE as its encoder.  Raises: InputError: what is there cannot serve as that family."""
    if (found.family, family) == ("vit", "mae"):
        raise InputError("checkpoint.no_decoder", file=file, source=found.source)
    if (found.family, family) != ("mae", "vit"):
        raise InputError("checkpoint.other_family", file=file, source=found.source, found=found.family, wanted=family)
    decoder = [name for name in found.state if name.startswith("decoder_") or name == "mask_token"]
    set_aside = found.set_aside | {found.upstream[name]: "decoder" for name in decoder}
    state = {name: tensor for name, tensor in found.state.items() if name not in decoder}
    config = replace(found.config.encoder, pos_antialias=found.choices.told["pos_antialias"])
    return replace(found, family=family, config=config, state=state, set_aside=set_aside)


def _check(found: Recognised, file: str) -> None:
    """Compare names and shapes with a model that takes no memory.

    Raises:  InputError: naming what is missing, left over, of another shape or no number, or a table too fine to draw.
    """
    if found.family in MOST_TABLE and found.config.grid[0] > MOST_TABLE[found.family]:
        raise InputError("checkpoint.too_fine", file=file, side=found.config.grid[0], limit=MOST_TABLE[found.family])
    with torch.device("meta"):
        wanted = {name: tuple(tensor.shape) for name, tensor in
                  FAMILIES[found.family].model(found.config).state_dict().items()}
    missing = [name for name in wanted if name not in found.state]
    left_over = [found.upstream[name] for name in found.state if name not in wanted]
    told = {"file": file, "source": found.source}
    if missing and left_over:
        raise InputError("checkpoint.both", **told, missing=listed(missing), left_over=listed(left_over))
    if missing:
        raise InputError("checkpoint.missing", **told, count=len(missing), names=listed(missing))
    if left_over:
        raise InputError("checkpoint.left_over", **told, count=len(left_over), names=listed(left_over))
    for name, shape in wanted.items():
        if tuple(found.state[name].shape) != shape:
            raise InputError("checkpoint.shape", **told, name=found.upstream[name], wanted=shape,
                             got=tuple(found.state[name].shape))
        if not found.state[name].isfinite().all():
            raise InputError("checkpoint.not_finite", file=file, name=found.upstream[name])


def listed(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    more = f", ... (+{len(names) - NAMED})" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _entry(model_id: str, checkpoint: Checkpoint, found: Recognised, parameters: int) -> Entry:
    """What a caption says about it."""
    choices, config, family = found.choices, found.config, FAMILIES[found.family]
    classes = getattr(config, "num_classes", 0)
    names = choices.told.get("classes", ())
    mean, std, side = tuple(choices.pick("mean")), tuple(choices.pick("std")), _side(found)
    facts = {"source": found.source, "assumed": tuple(choices.assumed), "set_aside": found.set_aside,
             "uses": USES[found.family], "tensors": len(checkpoint.tensors), "dtypes": _dtypes(checkpoint)}
    return Entry(
        id=model_id, name=checkpoint.file.name, family=found.family, kind="file", config=config,
        mean=mean, std=std, input_size=side, parameters=parameters, paper=family.paper, licence="?",
        classes=names if len(names) == classes else tuple(str(number) for number in range(classes)),
        size_bytes=checkpoint.size_bytes, facts=facts, file=checkpoint.file)


def _side(found: Recognised) -> int:
    """Of the square that it is shown with: as told, where that can be drawn, else what its tables are made for.

    A ViT takes any size, so it gets a smaller picture where all its attention weights would be too many to keep.
    """
    config, told = found.config, found.choices.told.get("input_size", 0)
    if found.family == "mae":  # takes no other size
        return config.img_size
    side = told
    if not config.patch_size <= told <= LARGEST:
        side = min(config.img_size if found.family == "vit" else found.choices.pick("img_size"), LARGEST)
    cells = side // config.patch_size
    if found.family == "vit":
        tokens = isqrt(MOST_WEIGHTS // (config.depth * config.num_heads)) - config.num_prefix
        cells = max(1, min(cells, MOST_GRID, isqrt(max(tokens, 1))))
    return cells * config.patch_size


def _dtypes(checkpoint: Checkpoint) -> tuple[str, ...]:
    return tuple(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in checkpoint.tensors.values()}))
