"""Which of our models a checkpoint fills: by its shapes, else its settings, else by habit, and that is said."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from tfsss.errors import InputError
from tfsss.models.convnext import ConvNeXtConfig
from tfsss.models.mae import MAEConfig
from tfsss.models.swin import SwinConfig
from tfsss.models.vit import ViTConfig
from tfsss.weights import keys_convnext, keys_timm, keys_transformers, variants
from tfsss.weights.layout import Choices, Renamed, is_sincos
from tfsss.weights.reading import Checkpoint

PER_HEAD = 64  # width of a head in every published ViT, but for those below
WIDE_HEADS = {1152: 16, 1280: 16, 1408: 16, 1664: 16}  # width -> heads: So400m, H, g, G
DECODER_PER_HEAD = 32  # MAE's decoders: 512 wide, 16 heads


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """A checkpoint that some model of ours can be filled with."""

    source: str  # who wrote it
    family: str  # a key of `registry.FAMILIES`
    config: ViTConfig | MAEConfig | SwinConfig | ConvNeXtConfig
    state: dict[str, Tensor]  # our names
    upstream: dict[str, str]  # our name -> theirs
    set_aside: dict[str, str]  # their name -> why it is not needed
    choices: Choices  # asked for mean, std and the like by whoever builds the entry


def recognise(checkpoint: Checkpoint, *, num_heads: int | None = None) -> Recognised:
    """Say what a checkpoint is.

    Args:    num_heads: of a ViT or of MAE's encoder, for a file that does not tell; None = by habit.
    Raises:  InputError: nothing that is known has such names, or its shapes fit none of our models.
    """
    renamed = (keys_transformers.rename(checkpoint) or keys_timm.rename(checkpoint)
               or keys_convnext.rename(checkpoint))
    if renamed is None:
        raise InputError("checkpoint.unknown", file=checkpoint.file.name, count=len(checkpoint.tensors),
                         names=", ".join(sorted(checkpoint.tensors)[:4]))
    told = renamed.told | ({} if num_heads is None else {"num_heads": num_heads})
    choices, set_aside = Choices(told, renamed.usual), dict(renamed.set_aside)
    set_aside |= {name: "beside" for name in checkpoint.beside}
    if keys_convnext.MARK in renamed.state:
        family, build = "convnext", _convnext
    elif any(name.startswith("layers.") for name in renamed.state):
        family, build = "swin", _swin
    elif any(name.startswith("decoder_") for name in renamed.state):
        family, build = "mae", _mae
    else:
        family, build = "vit", _vit
        set_aside |= _heads_of_another_kind(renamed)
    variants.refuse(checkpoint.file.name, family, renamed)
    choices.pick("exact_gelu")  # told, or by habit; a file that tells another is refused
    try:
        config = build(_Shapes(checkpoint.file.name, renamed), choices)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError("checkpoint.impossible", file=checkpoint.file.name, reason=error) from error
    return Recognised(source=renamed.source, family=family, config=config, state=renamed.state,
                      upstream=renamed.upstream, set_aside=set_aside, choices=choices)


class _Shapes:
    """Shapes by our names; a tensor that no model of the kind can lack is asked for without more ado."""

    def __init__(self, file: str, renamed: Renamed):
        self.file, self.source, self.state = file, renamed.source, renamed.state

    def of(self, name: str, ndim: int) -> tuple[int, ...]:
        if name not in self.state:
            raise InputError("checkpoint.lacks", file=self.file, source=self.source, name=name)
        shape = tuple(self.state[name].shape)
        if len(shape) != ndim:
            raise InputError("checkpoint.dimensions", file=self.file, name=name, shape=shape, ndim=ndim)
        return shape

    def count(self, pattern: str) -> int:
        """How many blocks there should be by the numbers in their names, the pattern's group; one may lack."""
        numbers = {int(found[1]) for name in self.state if (found := re.match(pattern, name))}
        return min(max(numbers, default=-1) + 1, 2 * len(numbers))

    def depth(self, choices: Choices, name: str, pattern: str) -> int:
        """How many blocks were told, so that the last cannot lack unnoticed, else are there.

        Raises:  InputError: a number that would take long to build, and is not meant for these tensors.
        """
        count = self.count(pattern)
        told = choices.told.get(name, count)
        if told > 2 * count:
            raise InputError("checkpoint.other_settings", key=name, said=told, found=count)
        return told

    def depths(self, choices: Choices, stages: str, blocks: str) -> tuple[int, ...]:
        """The same for every stage.  Args: stages: as `count`'s pattern; blocks: too, with {} for the stage."""
        found = tuple(max(self.count(blocks.format(stage)), 1) for stage in range(self.count(stages)))
        told = tuple(choices.told.get("depths", found))
        if len(told) > 2 * len(found) or max(told) > 2 * max(found):
            raise InputError("checkpoint.other_settings", key="depths", said=told, found=found)
        return told

    def patches(self, name: str = "patch_embed.proj.weight") -> tuple[int, int]:
        """(d, p).  Raises: InputError: patches that are not square, or pictures that are not RGB."""
        width, channels, height, across = self.of(name, 4)
        if channels != 3 or height != across:
            raise InputError("checkpoint.patches", file=self.file, channels=channels, height=height, width=across)
        return width, height

    def ratio(self, block: str, width: int) -> float:
        """mlp_ratio, such that int(width * ratio) is the hidden width."""
        hidden = self.of(f"{block}.mlp.fc1.weight", 2)[0]
        ratio = hidden / width
        return ratio if int(width * ratio) == hidden else math.nextafter(ratio, math.inf)

    def grid(self, tables: int) -> tuple[int, bool]:
        """(side of the position table's grid, whether the prefix tokens have rows in it)."""
        rows = self.of("pos_embed", 3)[1]
        for own, prefix in ((tables, True), (0, False)):
            side = math.isqrt(max(rows - own, 0))
            if side and side**2 == rows - own:
                return side, prefix
        raise InputError("checkpoint.positions", file=self.file, rows=rows, tokens=tables)

    def heads(self, choices: Choices, name: str, width: int, per_head: int) -> int:
        """How many heads, told or by habit.  Raises: InputError: neither gives a number that divides the width."""
        heads = choices.pick(name, WIDE_HEADS.get(width, width // per_head))
        if heads < 1 or width % heads or (name in choices.assumed and width not in WIDE_HEADS and width % per_head):
            raise InputError("checkpoint.heads", file=self.file, width=width, heads=heads, usual=per_head)
        return heads


def _vit(shapes: _Shapes, choices: Choices) -> ViTConfig:
    state = shapes.state
    width, patch = shapes.patches()
    class_token, distilled = "cls_token" in state, "dist_token" in state
    side, prefix = shapes.grid(class_token + distilled)
    pooled_norm = "fc_norm.weight" in state and "norm.weight" not in state
    if pooled_norm or not class_token:
        pool = "mean"
    else:
        pool = "token" if distilled or not _classes(state) else choices.pick("pool", "token")
    return ViTConfig(
        img_size=side * patch, patch_size=patch, num_classes=_classes(state), embed_dim=width,
        depth=shapes.depth(choices, "depth", r"blocks\.(\d+)\."),
        num_heads=shapes.heads(choices, "num_heads", width, PER_HEAD),
        mlp_ratio=shapes.ratio("blocks.0", width), qkv_bias="blocks.0.attn.qkv.bias" in state,
        proj_bias="blocks.0.attn.proj.bias" in state, class_token=class_token, distillation_token=distilled,
        num_registers=shapes.of("reg_token", 3)[1] if "reg_token" in state else 0, prefix_has_position=prefix,
        pos_embed="sincos" if is_sincos(state) else "learned", pos_antialias=choices.told["pos_antialias"],
        layer_scale=1.0 if "blocks.0.ls1.gamma" in state else None, pool=pool, norm_after_pool=pooled_norm,
        representation_size=shapes.of("pre_logits.0.weight", 2)[0] if "pre_logits.0.weight" in state else None,
        norm_eps=choices.pick("norm_eps"))


def _mae(shapes: _Shapes, choices: Choices) -> MAEConfig:
    width, patch = shapes.patches()
    decoder_width = shapes.of("decoder_embed.weight", 2)[0]
    return MAEConfig(
        img_size=shapes.grid(1)[0] * patch, patch_size=patch, embed_dim=width,
        depth=shapes.depth(choices, "depth", r"blocks\.(\d+)\."),
        num_heads=shapes.heads(choices, "num_heads", width, PER_HEAD),
        decoder_embed_dim=decoder_width,
        decoder_depth=shapes.depth(choices, "decoder_depth", r"decoder_blocks\.(\d+)\."),
        decoder_num_heads=shapes.heads(choices, "decoder_num_heads", decoder_width, DECODER_PER_HEAD),
        mlp_ratio=shapes.ratio("blocks.0", width), mask_ratio=choices.pick("mask_ratio"),
        norm_pix_loss=choices.pick("norm_pix_loss"), norm_eps=choices.pick("norm_eps"))


def _swin(shapes: _Shapes, choices: Choices) -> SwinConfig:
    width, patch = shapes.patches()
    depths = shapes.depths(choices, r"layers\.(\d+)\.", r"layers\.{}\.blocks\.(\d+)\.")
    table, stages = "layers.{}.blocks.0.attn.relative_position_bias_table", len(depths)
    rows = [shapes.of(table.format(stage), 2) for stage in range(stages)]
    across = math.isqrt(rows[0][0])
    if across % 2 == 0 or across**2 != rows[0][0] or any(each[0] != rows[0][0] for each in rows):
        raise InputError("checkpoint.windows", file=shapes.file, rows=", ".join(str(each[0]) for each in rows))
    window = (across + 1) // 2
    choices.usual["img_size"] = patch * 2**(stages - 1) * window  # so that a window spans the last stage
    return SwinConfig(
        patch_size=patch, num_classes=_classes(shapes.state), embed_dim=width, depths=depths,
        num_heads=tuple(heads for _, heads in rows), window_size=window,
        mlp_ratio=shapes.ratio("layers.0.blocks.0", width),
        qkv_bias="layers.0.blocks.0.attn.qkv.bias" in shapes.state)


def _convnext(shapes: _Shapes, choices: Choices) -> ConvNeXtConfig:
    stem, halving = keys_convnext.MARK, "downsample_layers.{}.1.weight"
    width, patch = shapes.patches(stem)
    depths = shapes.depths(choices, r"downsample_layers\.(\d+)\.", r"stages\.{}\.(\d+)\.")
    widths = (width, *(shapes.of(halving.format(stage), 4)[0] for stage in range(1, len(depths))))
    if (said := tuple(choices.told.get("widths", widths))) != widths:
        raise InputError("checkpoint.other_settings", key="hidden_sizes", said=said, found=widths)
    config = ConvNeXtConfig(
        patch_size=patch, num_classes=_classes(shapes.state), depths=depths, widths=widths,
        layer_scale=1.0 if any(name.endswith(".gamma") for name in shapes.state) else None,
        norm_eps=choices.pick("norm_eps"), final_norm_eps=choices.pick("final_norm_eps"))
    for size in ("input_size", "img_size"):
        if choices.told.get(size, config.reduction) < config.reduction:
            del choices.told[size]  # nothing would be left of such a picture
    choices.usual["img_size"] = max(choices.usual["img_size"], config.reduction)
    return config


def _classes(state: Mapping[str, Tensor]) -> int:
    return len(state["head.weight"]) if "head.weight" in state else 0


def _heads_of_another_kind(renamed: Renamed) -> dict[str, str]:
    """Take out class heads that read what ours do not: DINOv2's token beside the mean, DeiT's one of two tokens."""
    state = renamed.state
    if "head.weight" not in state or "cls_token" not in state:
        return {}
    if state["head.weight"].shape[-1] == 2 * state["cls_token"].shape[-1]:
        reason = "token_and_mean"
    elif "dist_token" in state and "head_dist.weight" not in state:
        reason = "one_of_two"
    else:
        return {}
    names = [name for name in state if name.startswith("head.")]
    for name in names:
        del state[name]
    return {renamed.upstream[name]: reason for name in names}
