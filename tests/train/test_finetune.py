"""The encoder in a classifier is the encoder of the autoencoder, and what is fine-tuned is what the table says."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from tests.models.references import randomise
from tests.train.test_classify import coloured
from tfsss.models.mae import VARIANTS, MaskedAutoencoder
from tfsss.models.vit import VisionTransformer
from tfsss.probe import capture
from tfsss.train.classify import Classification
from tfsss.train.engine import Trainer
from tfsss.train.finetune import RECIPE, begin_with_encoder, classifier_config
from tfsss.train.mae import RECIPE as PRETRAINING

CONFIG = VARIANTS["mini"]


@pytest.fixture
def autoencoder() -> MaskedAutoencoder:
    return randomise(MaskedAutoencoder(CONFIG))


@pytest.mark.parametrize("pool", ["mean", "token"])
@torch.no_grad()
def test_blocks_say_the_same_of_a_whole_picture(autoencoder, pool):
    model = VisionTransformer(classifier_config(CONFIG, 5, pool=pool)).eval()
    begin_with_encoder(model, autoencoder)
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with capture(autoencoder, "embedded", "blocks.*.output") as theirs:
        latent = autoencoder.forward_features(images)
    with capture(model, "embedded", "blocks.*.output") as ours:
        features = model.forward_features(images)
    for name, value in theirs.items():
        assert_close(ours[name], value, atol=1e-6, rtol=1e-5)
    if pool == "token":
        assert_close(features, latent, atol=1e-6, rtol=1e-5)  # the encoder's last norm comes along
        assert torch.equal(model.pool(features), features[:, 0])
    else:
        mean = features[:, 1:].mean(dim=1)
        assert_close(model.pool(features), F.layer_norm(mean, mean.shape[-1:], eps=CONFIG.norm_eps))
    scores = model(images)
    assert scores.abs().max() < 1e-3 and scores.abs().max() > 0  # the head begins at nearly nothing


def test_what_does_not_fit_is_not_left_out(autoencoder):
    config = classifier_config(CONFIG, 5)
    with pytest.raises(RuntimeError, match="size mismatch"):
        begin_with_encoder(VisionTransformer(dataclasses.replace(config, embed_dim=48)), autoencoder)
    with pytest.raises(KeyError, match="blocks.2"):
        begin_with_encoder(VisionTransformer(dataclasses.replace(config, depth=3)), autoencoder)
    with pytest.raises(KeyError, match="reg_token"):
        begin_with_encoder(VisionTransformer(dataclasses.replace(config, num_registers=1)), autoencoder)


def test_a_fine_tuning_run_goes_on_exactly(autoencoder, tmp_path):
    """With all that is drawn: crops, colours, drop path; and every layer at its own rate."""
    photos = coloured(side=32)
    plan = dataclasses.replace(RECIPE.plan, steps=10, batch_size=6, warmup=2, evaluate_every=5, save_every=5)

    def trainer(folder) -> Trainer:
        torch.manual_seed(0)
        model = VisionTransformer(classifier_config(CONFIG, 3, drop_path=0.5))
        begin_with_encoder(model, autoencoder)
        return Trainer(model, Classification(photos, photos, plan, RECIPE.task.keywords["augmentation"]), plan,
                       tmp_path / folder)

    whole, broken = trainer("whole"), trainer("broken")
    before = {name: value.clone() for name, value in whole.model.state_dict().items()}
    whole.run()
    moved = {name: (value - before[name]).abs().max() for name, value in whole.model.state_dict().items()}
    assert 0 < moved["patch_embed.proj.weight"] < moved["blocks.1.mlp.fc1.weight"] < moved["head.weight"]
    assert moved["pos_embed"] > 0  # fixed in the autoencoder, learned here
    for _ in range(5):
        broken.train_step()
    broken.save()
    again = trainer("broken")
    assert again.step == 5 and again.run()
    for name, value in whole.average.state_dict().items():
        assert torch.equal(value, again.average.state_dict()[name]), name


def test_the_recipe_is_the_papers_table():
    """Appendix A.1, table 9: what a small machine does not change."""
    plan, config, augmentation = RECIPE.plan, RECIPE.config, RECIPE.task.keywords["augmentation"]
    assert (plan.weight_decay, plan.betas, plan.layer_decay) == (0.05, (0.9, 0.999), 0.75)
    assert (config.drop_path, augmentation.label_smoothing) == (0.1, 0.1)
    assert config.pool == "mean" and config.norm_after_pool and config.pos_embed == "learned"
    assert config.embed_dim == PRETRAINING.config.embed_dim and config.depth == PRETRAINING.config.depth


def test_the_recipe_begins_with_the_shipped_encoder():
    model = VisionTransformer(RECIPE.config)
    RECIPE.begin(model)
    assert model.blocks[3].attn.qkv.weight.std() > 0.03  # fresh ones have 0.02
    assert model.pos_embed.requires_grad and model.pos_embed[0, 1:].abs().max().item() == pytest.approx(1, abs=1e-3)
