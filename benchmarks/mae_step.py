"""A training step of our masked autoencoder and of transformers' ViTMAE, same shape and batch, in turns.

Ours is the engine's whole step, as a run makes it: drawing and normalising the batch, forward, backward, clipping,
AdamW, running average. Theirs is the least that trains: forward, backward, clipping, AdamW on a batch that is ready.

Run:     python benchmarks/mae_step.py [repeats] [batch size]     (needs requirements-dev.txt; 2 minutes)
Prints:  medians of processor time, one thread, and of the ratios within each turn, so that what else the machine does
         counts less; theirs with each of its two ways of attention.
Target:  at most 1.00 in bfloat16, in which the recipe trains. In float32 attention that is written out costs more than
         the fused one (measured: 1.2 of sdpa, 0.9 of eager): its scores and weights go through memory.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

import tests.conftest  # noqa: E402, F401  (lets transformers meet a torchvision without operators)
from tfsss.data.photos import Photos  # noqa: E402
from tfsss.models.mae import MaskedAutoencoder  # noqa: E402
from tfsss.train.classify import normalise  # noqa: E402
from tfsss.train.engine import Plan, Trainer  # noqa: E402
from tfsss.train.mae import RECIPE, Guessing  # noqa: E402

CONFIG = RECIPE.config


def our_step(plan: Plan, photos: Photos) -> Callable[[], object]:
    """The engine's step."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as out:
        return Trainer(MaskedAutoencoder(CONFIG), Guessing(photos, photos, plan, CONFIG), plan, Path(out)).train_step


def their_step(plan: Plan, photos: Photos, attention: str) -> Callable[[], object]:
    """A plain loop's step around transformers' model of the same shape."""
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    model = ViTMAEForPreTraining(ViTMAEConfig(
        image_size=CONFIG.img_size, patch_size=CONFIG.patch_size, hidden_size=CONFIG.embed_dim,
        num_hidden_layers=CONFIG.depth, num_attention_heads=CONFIG.num_heads, intermediate_size=4 * CONFIG.embed_dim,
        decoder_hidden_size=CONFIG.decoder_embed_dim, decoder_num_hidden_layers=CONFIG.decoder_depth,
        decoder_num_attention_heads=CONFIG.decoder_num_heads, decoder_intermediate_size=4 * CONFIG.decoder_embed_dim,
        layer_norm_eps=CONFIG.norm_eps, mask_ratio=CONFIG.mask_ratio, attn_implementation=attention)).train()
    count, ours = (sum(value.numel() for value in each.parameters()) for each in (model, MaskedAutoencoder(CONFIG)))
    if count != ours:
        raise SystemExit(f"not the same shape: theirs has {count} parameters, ours {ours}")
    optimiser = torch.optim.AdamW(model.parameters(), lr=plan.lr, betas=plan.betas, fused=True)
    images, noise = normalise(photos.pixels[:plan.batch_size]), torch.rand(plan.batch_size, CONFIG.num_patches)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=plan.precision == "bfloat16"):
            loss = model(images, noise=noise).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
        optimiser.step()

    return step


def compare(plan: Plan, photos: Photos, repeats: int) -> None:
    """Prints medians and ratios for one precision."""
    steps = {"ours": our_step(plan, photos)} | {
        f"transformers {attention}": their_step(plan, photos, attention) for attention in ("sdpa", "eager")}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(repeats + 2):
        for name, step in list(steps.items())[::1 if turn % 2 else -1]:
            begun = time.process_time()
            step()
            if turn >= 2:
                times[name].append((time.process_time() - begun) * 1000)
    print(f"{plan.precision}: ours {median(times['ours']):.0f} ms a step of {plan.batch_size}")
    for name in list(steps)[1:]:
        ratio = median(a / b for a, b in zip(times["ours"], times[name], strict=True))
        print(f"  {name:18} {median(times[name]):5.0f} ms, ratio {ratio:.2f}", flush=True)


def main(repeats: int = 20, batch_size: int = 64) -> None:
    torch.set_num_threads(1)
    pixels = np.random.default_rng(0).integers(0, 256, (4 * batch_size, CONFIG.img_size, CONFIG.img_size, 3), np.uint8)
    photos = Photos(pixels=pixels, targets=np.zeros(len(pixels), np.int64), sources=np.full(len(pixels), "noise"),
                    classes=())
    for precision in ("bfloat16", "float32"):
        compare(dataclasses.replace(RECIPE.plan, batch_size=batch_size, precision=precision), photos, repeats)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
