"""Weights of a masked autoencoder by id, and a model that says it was never trained."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from safetensors.torch import save_file

from tfsss.errors import InputError
from tfsss.models.mae import VARIANTS, MaskedAutoencoder
from tfsss.weights import REGISTRY, best, is_present, load, registry, untrained

CONFIG = VARIANTS["mini"]


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A shelf of assets with the mini model in half precision and the card that `export` writes."""
    monkeypatch.setattr(registry, "ASSETS", tmp_path)
    model = MaskedAutoencoder(CONFIG)
    save_file({name: tensor.half() for name, tensor in model.state_dict().items()},
              tmp_path / "mae_photos112.safetensors")
    card = {"config": dataclasses.asdict(CONFIG), "classes": [], "mean": [0.5] * 3, "std": [0.25] * 3,
            "input_size": 32, "steps": 7}
    (tmp_path / "mae_photos112.json").write_text(json.dumps(card))
    monkeypatch.setitem(REGISTRY, "mae_photos112", registry.bundled_entry("mae_photos112"))
    return model


def test_loading_gives_the_right_class(shipped):
    loaded = load("mae_photos112")
    assert isinstance(loaded.model, MaskedAutoencoder) and not loaded.model.training
    assert best("mae") == "mae_photos112" and is_present("mae_photos112")
    assert loaded.entry.config == CONFIG and loaded.entry.weights == "trained" and loaded.entry.facts == {"steps": 7}
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(value, shipped.state_dict()[name].half().float())


def test_without_a_file_the_best_says_so(monkeypatch):
    monkeypatch.delitem(REGISTRY, "mae_photos112", raising=False)
    with pytest.raises(InputError) as raised:
        best("mae")
    assert raised.value.error_id == "weights.none"


def test_an_untrained_model_says_so_and_is_always_the_same():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, two = untrained("mae", CONFIG), untrained("mae", CONFIG)
    assert torch.equal(torch.rand(1), expected)  # nobody else's random numbers change
    assert one.entry.weights == "random" and one.entry.kind == "random" and one.entry.id not in REGISTRY
    assert all(torch.equal(a, b) for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True))
    other = untrained("mae", CONFIG, seed=1)
    assert not torch.equal(one.model.mask_token, other.model.mask_token)
    assert not any(parameter.requires_grad for parameter in one.model.parameters())
