"""The conversion: on a small graph always; on the real file where it has been fetched."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tests.weights.synthetic import CONFIG, INPUT_SIZE, TOKENS, small_graph
from tfsss.data.images import bundled, fit, load_image
from tfsss.models.vit import VisionTransformer
from tfsss.weights import REGISTRY, is_present, load
from tfsss.weights.dinov2 import convert

DINOV2 = REGISTRY["vit_s14_dinov2"]
REAL_TOKENS = "/backbone/layernorm/Add_1_output_0"
needs_real_weights = pytest.mark.skipif(
    not (is_present(DINOV2.id) and DINOV2.original.is_file()),
    reason="needs vit_s14_dinov2 and its original: python -m tfsss.weights get vit_s14_dinov2 --keep-original")


def save(graph: onnx.ModelProto, folder):
    onnx.save(graph, folder / "small.onnx")
    return folder / "small.onnx"


def without(graph: onnx.ModelProto, constant: str) -> onnx.ModelProto:
    kept = [tensor for tensor in graph.graph.initializer if tensor.name != constant]
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(kept)
    return graph


def test_final_tokens_agree_with_onnxruntime_on_a_small_graph(tmp_path):
    file = save(small_graph(), tmp_path)
    model = VisionTransformer(CONFIG).eval()
    model.load_state_dict(convert(file, CONFIG), strict=True)
    images = np.random.default_rng(1).standard_normal((1, 3, INPUT_SIZE, INPUT_SIZE)).astype(np.float32)
    expected = onnxruntime.InferenceSession(file).run([TOKENS], {"input_image": images})[0]
    with torch.no_grad():
        tokens = model.forward_features(torch.from_numpy(images)).numpy()
    assert tokens.shape == (1, 10, 12)
    assert np.abs(tokens - expected).max() < 2e-5


def test_conversion_names_every_parameter_and_no_other(tmp_path):
    state = convert(save(small_graph(), tmp_path), CONFIG)
    wanted = {name: tensor.shape for name, tensor in VisionTransformer(CONFIG).state_dict().items()}
    assert {name: tensor.shape for name, tensor in state.items()} == wanted


def test_a_missing_weight_is_named(tmp_path):
    graph = without(small_graph(), "backbone.encoder.layer.1.mlp.fc1.bias")
    with pytest.raises(LookupError, match=r"layer\.1\.mlp\.fc1\.bias"):
        convert(save(graph, tmp_path), CONFIG)


def test_a_missing_matrix_is_named(tmp_path):
    graph = small_graph()
    product = next(n for n in graph.graph.node if n.name == "/backbone/encoder/layer.0/mlp/fc2/MatMul")
    with pytest.raises(LookupError, match=r"layer\.0/mlp/fc2/MatMul.* 0 anonymous"):
        convert(save(without(graph, product.input[1]), tmp_path), CONFIG)


def test_a_missing_node_is_named(tmp_path):
    graph = small_graph()
    next(n for n in graph.graph.node if n.name == "/backbone/embeddings/Reshape_1").name = "renamed"
    with pytest.raises(LookupError, match="no node '/backbone/embeddings/Reshape_1'"):
        convert(save(graph, tmp_path), CONFIG)


def test_weights_that_are_left_over_are_named(tmp_path):
    shallow = type(CONFIG)(**{**vars(CONFIG), "depth": 1})
    with pytest.raises(LookupError, match=r"lacks: backbone\.encoder\.layer\.1\..*onnx::MatMul_"):
        convert(save(small_graph(), tmp_path), shallow)


@pytest.fixture(scope="module")
def original():
    """ONNX Runtime on the file as its authors published it, with the backbone's final tokens as an output."""
    graph = onnx.load(DINOV2.original)
    graph.graph.output.append(onnx.helper.make_tensor_value_info(REAL_TOKENS, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def dinov2():
    return load(DINOV2.id).model


@needs_real_weights
@pytest.mark.parametrize("photograph", sorted(bundled()))
def test_dinov2_agrees_with_onnxruntime_on_the_original_file(photograph, original, dinov2, record_property):
    side = DINOV2.input_size
    pixels = fit(load_image(bundled()[photograph]), side, side)
    images = ((pixels / 255 - DINOV2.mean) / DINOV2.std).astype(np.float32).transpose(2, 0, 1)[None]
    expected = original.run([REAL_TOKENS], {"input_image": images})[0]
    with torch.no_grad():
        tokens = dinov2.forward_features(torch.from_numpy(images)).numpy()
    difference = float(np.abs(tokens - expected).max())
    record_property("largest difference", difference)
    print(f"{photograph}: {difference:.1e}, tokens up to {np.abs(expected).max():.1f}")
    assert tokens.shape == (1, 257, 384)
    assert difference < 1e-3
