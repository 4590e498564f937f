"""MiniLM's weights as `transformers` names them, into our Bert.

Nothing but names changes, and query, key and value become the one matrix that we have.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from tfsss.models.bert import BertConfig

TABLES = tuple(f"embeddings.{name}_embeddings.weight" for name in ("word", "position", "token_type"))
# our module -> theirs; each has a weight and a bias
NAMED = {"embeddings.norm": "embeddings.LayerNorm", "pooler.0": "pooler.dense"}
# our module after `blocks.L.` -> theirs after `encoder.layer.L.`
NAMED_IN_BLOCK = {
    "attn.proj": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
    "norm2": "output.LayerNorm",
}
QUERY_KEY_VALUE = ("query", "key", "value")  # the order of the rows of `attn.qkv`
BUFFER = "embeddings.position_ids"  # 0, 1, 2, ...: counted when needed


def convert(file: Path, config: BertConfig) -> dict[str, Tensor]:
    """The state dict of a `Bert(config)`: complete, and nothing of the file left over.

    Args:    file: safetensors of a `BertModel`. config: as `minilm_l6`, of any width and depth.
    Returns: our name -> float32 tensor.
    Raises:  LookupError: a weight is missing from the file, or left over.
    Source:  Wang et al. 2020, arXiv:2002.10957; the names are those of transformers' BertModel.
    """
    theirs = load_file(file)
    theirs.pop(BUFFER, None)

    def take(name: str) -> Tensor:
        if name not in theirs:
            raise LookupError(f"the file has no weight {name!r}")
        return theirs.pop(name)

    modules = dict(NAMED)
    for layer in range(config.depth):
        modules |= {f"blocks.{layer}.{ours}": f"encoder.layer.{layer}.{name}" for ours, name in NAMED_IN_BLOCK.items()}
    state = {name: take(name) for name in TABLES}
    for part in ("weight", "bias"):
        state |= {f"{ours}.{part}": take(f"{name}.{part}") for ours, name in modules.items()}
        state |= {f"blocks.{layer}.attn.qkv.{part}": torch.cat(
            [take(f"encoder.layer.{layer}.attention.self.{name}.{part}") for name in QUERY_KEY_VALUE])
            for layer in range(config.depth)}
    if theirs:
        raise LookupError(f"the file has weights that this model lacks: {', '.join(sorted(theirs))}")
    return state
