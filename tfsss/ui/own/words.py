"""What is said of a visitor's own weights: the same facts as `python -m tfsss.weights check` prints."""

from __future__ import annotations

from tfsss.ui.language import t
from tfsss.weights import Entry
from tfsss.weights.checkpoint import listed


OF_NO_CONFIG = ("mean", "std", "img_size", "exact_gelu")  # what is assumed beside the model's own choices
PHRASES = {"under its authors' names": "own.source.authors", "encoder only": "own.source.encoder",
           "timm or DINO": "own.source.timm_or_dino"}


def described(entry: Entry) -> list[str]:
    """Lines of Markdown: what it is, its shape, its size, what was assumed, what was set aside."""
    facts, joint = entry.facts, t("own.joint")
    size = t("own.size", parameters=f"{entry.parameters / 1e6:.3g}", megabytes=f"{entry.size_bytes / 1e6:.3g}",
             tensors=facts["tensors"], dtypes=", ".join(facts["dtypes"]))
    lines = [t("own.what", name=entry.name, source=source(entry), family=t(f"own.family.{entry.family}")), shape(entry),
             size + (t("own.classes", classes=len(entry.classes)) if entry.classes else "")]
    known = [name for name in facts["assumed"] if name in OF_NO_CONFIG or hasattr(entry.config, name)]
    if known:  # of an MAE's encoder, without what was assumed of the decoder
        lines.append(t("own.assumed", parts=joint.join(assumed(entry, name) for name in known)))
    for reason in dict.fromkeys(facts["set_aside"].values()):
        names = [name for name, why in facts["set_aside"].items() if why == reason]
        lines.append(t("own.aside", names=listed(f"`{name}`" for name in names), why=t(f"own.aside.{reason}")))
    return lines


def source(entry: Entry) -> str:
    """Who wrote the file, in the visitor's language; names stay."""
    said = entry.facts["source"]
    for phrase, text_id in PHRASES.items():
        said = said.replace(phrase, t(text_id))
    return said


def shape(entry: Entry) -> str:
    """Grid, depth and heads."""
    config, side = entry.config, entry.input_size
    if entry.family == "swin":
        return t("own.shape.swin", patch=config.patch_size, window=config.window_size, width=config.embed_dim,
                 depths=", ".join(map(str, config.depths)), heads=", ".join(map(str, config.num_heads)),
                 side=side, grid=side // config.patch_size)
    words = {"patch": config.patch_size, "table": config.grid[0], "made_for": config.img_size, "side": side,
             "grid": side // config.patch_size, "depth": config.depth, "heads": config.num_heads,
             "width": config.embed_dim}
    if entry.family == "mae":
        return t("own.shape.mae", decoder_depth=config.decoder_depth, decoder_heads=config.decoder_num_heads,
                 decoder_width=config.decoder_embed_dim, **words)
    return t("own.shape.vit", **words) + t("own.shape.prefix", tokens=prefix(entry))


def prefix(entry: Entry) -> str:
    """What stands before the patches."""
    config = entry.config
    parts = [t("own.token.class")] * config.class_token + [t("own.token.distillation")] * config.distillation_token
    if config.num_registers:
        parts.append(t("own.token.registers", count=config.num_registers))
    return t("own.joint").join(parts) or t("own.token.none")


def assumed(entry: Entry, name: str) -> str:
    """One thing that neither the tensors nor the settings tell, and what was taken for it."""
    if name in ("norm_pix_loss", "pool"):
        return t(f"own.assumed.{name}.{getattr(entry.config, name)}")
    value = entry.input_size if name == "img_size" else getattr(entry, name, getattr(entry.config, name, None))
    if name in ("mean", "std"):
        value = ", ".join(f"{part:.3g}" for part in value)
    return t(f"own.assumed.{name}", value=value)
