"""Once per server: what makes every later click fast."""

from __future__ import annotations

import gc
from functools import cache

import torch


@cache
def warm_up() -> None:
    """One thread for torch, and the imported modules out of the garbage collector's sight.

    Streamlit runs each session in short-lived threads, in which torch's own thread pool spins (measured: ViT-S 85 ms
    with one thread, 110 or 1,840 ms with two). A full collection costs 90 ms with torch imported; frozen objects are
    skipped.
    """
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()
