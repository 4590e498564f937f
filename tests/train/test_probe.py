"""The linear probe: features are computed once and go on where they stopped."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.data.test_photos import BLUE, GREEN, RED, write_pack
from tests.train.test_classify import coloured
from tfsss.models.vit import VisionTransformer, ViTConfig
from tfsss.train import probe
from tfsss.train.recipe import export
from tfsss.weights import REGISTRY
from tfsss.weights.registry import DINOV2

CONFIG = ViTConfig(img_size=16, patch_size=8, num_classes=0, embed_dim=12, depth=1, num_heads=3)


@pytest.fixture
def small_backbone(tmp_path, monkeypatch):
    """A tiny ViT in DINOv2's place, in a cache folder of its own."""
    monkeypatch.setenv("TFSSS_HOME", str(tmp_path / "home"))
    entry = dataclasses.replace(DINOV2, config=CONFIG, input_size=16, head=None, classes=())
    monkeypatch.setitem(REGISTRY, probe.BACKBONE, entry)
    torch.manual_seed(0)
    entry.path.parent.mkdir(parents=True)
    save_file(VisionTransformer(CONFIG).state_dict(), entry.path)


def test_features_are_the_class_tokens_and_computed_once(small_backbone, monkeypatch):
    photos = coloured(40)
    found = probe.class_tokens(photos, "train")
    assert found.shape == (40, 12) and np.isfinite(found).all()
    model = probe.weights.load(probe.BACKBONE).model
    with torch.inference_mode():
        expected = model.forward_features(probe.normalise(photos.pixels))[:, 0].numpy()
    assert np.abs(found - expected).max() < 0.05  # computed in bfloat16
    monkeypatch.setattr(VisionTransformer, "forward_features", lambda *_: pytest.fail("computed again"))
    assert np.array_equal(probe.class_tokens(photos, "train"), found)


def test_features_go_on_where_they_stopped(small_backbone, monkeypatch):
    photos, real, calls = coloured(40), VisionTransformer.forward_features, []

    def cut_off(model, images):
        calls.append(len(images))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(model, images)

    monkeypatch.setattr(VisionTransformer, "forward_features", cut_off)
    with pytest.raises(KeyboardInterrupt):
        probe.class_tokens(photos, "val")
    assert np.isfinite(probe.class_tokens(photos, "val")).all()
    assert calls == [16, 16, 16, 8]  # the first 16 were kept


def test_the_probe_learns(small_backbone, tmp_path):
    rows = [(colour, name, number, "paint", split) for number, (colour, name) in
            enumerate([(RED, "red"), (GREEN, "green"), (BLUE, "blue")]) for split in ("train", "train", "val")]
    data = str(write_pack(tmp_path, rows))
    recipe = dataclasses.replace(probe.RECIPE, config=probe.ProbeConfig(embed_dim=12, num_classes=3),
                                 plan=dataclasses.replace(probe.RECIPE.plan, steps=200, batch_size=6, lr=0.05, warmup=5))
    trainer = recipe.trainer(data, recipe.plan, tmp_path / "run")
    assert trainer.run()
    card = export(trainer, recipe.weights_id, tmp_path / "weights")
    assert card["figures"]["val_top1"] == 1.0 and card["classes"] == ("red", "green", "blue")
