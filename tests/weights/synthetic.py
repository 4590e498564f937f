"""A small graph written the way the exporter wrote DINOv2's: same names, same folded matrices, random numbers; and
wheels to carry it.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from tfsss.models.vit import ViTConfig
from tfsss.weights.registry import Wheel

CONFIG = ViTConfig(img_size=70, patch_size=14, num_classes=0, embed_dim=12, depth=2, num_heads=3, layer_scale=1.0,
                   pos_antialias=False)
INPUT_SIZE = 42  # a grid of 3 x 3, from a position table of 5 x 5
TOKENS = "/backbone/layernorm/output"


class GraphWriter:
    """Collects nodes and constants; every method that adds a node returns the name of its output."""

    def __init__(self, seed: int = 0):
        self.random = np.random.default_rng(seed)
        self.nodes, self.constants, self.anonymous = [], [], 100

    def constant(self, name: str, *shape: int, around: float = 0.0, scale: float = 0.3) -> str:
        values = around + scale * self.random.standard_normal(shape)
        self.constants.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def folded(self, op: str, *shape: int) -> str:
        self.anonymous += 7
        return self.constant(f"onnx::{op}_{self.anonymous}", *shape)

    def fixed(self, values: list) -> str:
        self.anonymous += 1
        kind = np.float32 if isinstance(values[0], float) else np.int64
        self.constants.append(numpy_helper.from_array(np.array(values, kind), f"onnx::Fixed_{self.anonymous}"))
        return f"onnx::Fixed_{self.anonymous}"

    def node(self, op: str, name: str, *inputs: str, output: str | None = None, **attributes: object) -> str:
        output = output or f"{name}_output_0"
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=name, **attributes))
        return output

    def linear(self, x: str, node: str, bias: str, width_in: int, width_out: int) -> str:
        product = self.node("MatMul", f"{node}/MatMul", x, self.folded("MatMul", width_in, width_out))
        return self.node("Add", f"{node}/Add", self.constant(bias, width_out), product)

    def norm(self, x: str, node: str, initializer: str, width: int, output: str | None = None) -> str:
        scale = self.constant(f"{initializer}.weight", width, around=1.0)
        shift = self.constant(f"{initializer}.bias", width)
        return self.node("LayerNormalization", node, x, scale, shift, output=output, epsilon=CONFIG.norm_eps)

    def embeddings(self) -> str:
        at, names, d = "/backbone/embeddings", "backbone.embeddings", CONFIG.embed_dim
        patches = self.node(
            "Conv", f"{at}/patch_embeddings/projection/Conv", "input_image",
            self.constant(f"{names}.patch_embeddings.projection.weight", d, 3, 14, 14, scale=0.05),
            self.constant(f"{names}.patch_embeddings.projection.bias", d), kernel_shape=[14, 14], strides=[14, 14])
        patches = self.node("Reshape", f"{at}/patch_embeddings/Reshape", patches, self.fixed([0, d, -1]))
        patches = self.node("Transpose", f"{at}/patch_embeddings/Transpose", patches, perm=[0, 2, 1])
        tokens = self.node("Concat", f"{at}/Concat_1", self.constant(f"{names}.cls_token", 1, 1, d), patches, axis=1)
        table = self.node("Reshape", f"{at}/Reshape_1", self.folded("Reshape", 1, 25, d), self.shape_node(5, 5, d))
        table = self.node("Transpose", f"{at}/Transpose", table, perm=[0, 3, 1, 2])
        table = self.node("Resize", f"{at}/Resize", table, "", "", self.fixed([1, d, 3, 3]), mode="cubic",
                          cubic_coeff_a=-0.75, coordinate_transformation_mode="half_pixel")
        table = self.node("Transpose", f"{at}/Transpose_1", table, perm=[0, 2, 3, 1])
        table = self.node("Reshape", f"{at}/Reshape_2", table, self.fixed([1, 9, d]))
        table = self.node("Concat", f"{at}/Concat_6", self.folded("Concat", 1, 1, d), table, axis=1)
        return self.node("Add", f"{at}/Add", tokens, table)

    def shape_node(self, *sizes: int) -> str:
        """(1, sizes) as a node's output: the exporter computes this shape, so it is no constant of the reader."""
        return self.node("Constant", "/backbone/embeddings/Shape", value=numpy_helper.from_array(np.array([1, *sizes])))

    def block(self, x: str, layer: int) -> str:
        at, names, d = f"/backbone/encoder/layer.{layer}", f"backbone.encoder.layer.{layer}", CONFIG.embed_dim
        normed = self.norm(x, f"{at}/norm1", f"{names}.norm1", d)
        heads = {}
        for part, order in (("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3]), ("query", [0, 2, 1, 3])):
            node = f"{at}/attention/attention/{part}"
            flat = self.linear(normed, node, f"{names}.attention.attention.{part}.bias", d, d)
            split = self.node("Reshape", f"{node}/Reshape", flat, self.fixed([0, 0, CONFIG.num_heads, -1]))
            heads[part] = self.node("Transpose", f"{node}/Transpose", split, perm=order)
        scores = self.node("MatMul", f"{at}/attention/attention/MatMul", heads["query"], heads["key"])
        scores = self.node("Mul", f"{at}/attention/attention/Mul", scores, self.fixed([(d / CONFIG.num_heads) ** -0.5]))
        weights = self.node("Softmax", f"{at}/attention/attention/Softmax", scores, axis=-1)
        mixed = self.node("MatMul", f"{at}/attention/attention/MatMul_1", weights, heads["value"])
        mixed = self.node("Transpose", f"{at}/attention/attention/Transpose_3", mixed, perm=[0, 2, 1, 3])
        mixed = self.node("Reshape", f"{at}/attention/attention/Reshape_3", mixed, self.fixed([0, 0, d]))
        mixed = self.linear(mixed, f"{at}/attention/output/dense", f"{names}.attention.output.dense.bias", d, d)
        scaled = self.node("Mul", f"{at}/layer_scale1/Mul", mixed, self.constant(f"{names}.layer_scale1.lambda1", d))
        x = self.node("Add", f"{at}/Add", scaled, x)
        normed = self.norm(x, f"{at}/norm2", f"{names}.norm2", d)
        hidden = self.linear(normed, f"{at}/mlp/fc1", f"{names}.mlp.fc1.bias", d, 4 * d)
        hidden = self.gelu(hidden, f"{at}/mlp/activation")
        hidden = self.linear(hidden, f"{at}/mlp/fc2", f"{names}.mlp.fc2.bias", 4 * d, d)
        scaled = self.node("Mul", f"{at}/layer_scale2/Mul", hidden, self.constant(f"{names}.layer_scale2.lambda1", d))
        return self.node("Add", f"{at}/Add_1", scaled, x)

    def gelu(self, x: str, at: str) -> str:
        erf = self.node("Erf", f"{at}/Erf", self.node("Div", f"{at}/Div", x, self.fixed([2**0.5])))
        gate = self.node("Mul", f"{at}/Mul", self.node("Add", f"{at}/Add", erf, self.fixed([1.0])), self.fixed([0.5]))
        return self.node("Mul", f"{at}/Mul_1", x, gate)


def small_graph() -> ModelProto:
    """input_image (1, 3, 42, 42) to the final tokens (1, 10, 12), and a decoder constant that is nobody's business."""
    writer = GraphWriter()
    x = writer.embeddings()
    for layer in range(CONFIG.depth):
        x = writer.block(x, layer)
    writer.norm(x, "/backbone/layernorm", "backbone.layernorm", CONFIG.embed_dim, output=TOKENS)
    writer.constant("decoder.final_conv.weight", 1, 64, 1, 1)
    image = helper.make_tensor_value_info("input_image", TensorProto.FLOAT, [1, 3, INPUT_SIZE, INPUT_SIZE])
    tokens = helper.make_tensor_value_info(TOKENS, TensorProto.FLOAT, [1, 10, CONFIG.embed_dim])
    graph = helper.make_graph(writer.nodes, "small", [image], [tokens], writer.constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def put_wheel(folder: Path, name: str, member: str, content: bytes) -> Path:
    """A wheel of version 1.0 that carries one file and needs a package that nobody has."""
    info = f"{name}-1.0.dist-info"
    file = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(member, content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n"
                                          "Requires-Dist: absent\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return file


def described(file: Path, member: str) -> Wheel:
    """The registry's description of such a wheel."""
    content, name = file.read_bytes(), file.name.split("-")[0].replace("_", "-")
    return Wheel(requirement=f"{name}==1.0", sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content),
                 member=member)
