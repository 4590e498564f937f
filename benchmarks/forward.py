"""What looking inside costs: our ViT with every attention map captured, and timm's plain forward, in turns.

Run:     python benchmarks/forward.py [variant] [repeats]     (needs requirements-dev.txt)
Prints:  medians of processor time, one thread, so that what else the machine does counts less.
Target:  at most 1.05 times timm.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import median

import torch

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

import tests.conftest  # noqa: E402, F401  (lets timm be imported)
from tfsss.models.vit import VARIANTS, VisionTransformer  # noqa: E402
from tfsss.probe import capture  # noqa: E402
from tfsss.ui import start  # noqa: E402

TIMM = {"b16": "vit_base_patch16_224", "s16": "vit_small_patch16_224", "ti16": "vit_tiny_patch16_224"}


def main(variant: str = "s16", repeats: int = 20) -> None:
    """Prints both medians and the ratio."""
    import timm

    torch.manual_seed(0)
    start.warm_up()  # as the app runs
    ours, theirs = VisionTransformer(VARIANTS[variant]).eval(), timm.create_model(TIMM[variant]).eval()
    images = torch.randn(1, 3, 224, 224)

    def captured() -> None:
        with capture(ours, "blocks.*.attn.weights"):
            ours(images)

    def plain() -> None:
        with torch.no_grad():
            theirs(images)

    times: dict[str, list[float]] = {"captured": [], "plain": []}
    for turn in range(repeats + 3):
        for name, run in (("captured", captured), ("plain", plain)):
            begun = time.process_time()
            run()
            if turn >= 3:
                times[name].append((time.process_time() - begun) * 1000)
    ratio = median(a / b for a, b in zip(times["captured"], times["plain"]))
    print(f"{variant}: ours with every map {median(times['captured']):.0f} ms, "
          f"timm plain {median(times['plain']):.0f} ms, ratio {ratio:.2f} (target 1.05)")


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:3]))
