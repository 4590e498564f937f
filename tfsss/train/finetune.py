"""Fine-tuning: the encoder of the masked autoencoder goes on as a classifier of photographs, end to end.

Source: He et al. 2022, arXiv:2111.06377, appendix A.1, table 9. Differs: batch and learning rate are a small machine's,
        crops and colours are changed as for the other recipes here instead of RandAugment, mixup and cutmix, and the
        gradient is clipped.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

from torch import nn

from tfsss.models.mae import MAEConfig, MaskedAutoencoder
from tfsss.models.vit import VisionTransformer, ViTConfig
from tfsss.train import mae
from tfsss.train.classify import Augmentation, photo_classes
from tfsss.train.engine import Plan
from tfsss.train.recipe import Recipe
from tfsss.weights import load

FRESH = ("head.", "fc_norm.")  # what the encoder has no weights for


def classifier_config(encoder: MAEConfig, num_classes: int, *, pool: Literal["mean", "token"] = "mean",
                      drop_path: float = 0.1) -> ViTConfig:
    """The encoder as a classifier.

    Its positions, fixed until now, are learned from here on. The mean of the patches gets a LayerNorm of its own, and
    the encoder's last one goes; the class token, which pre-training carried along for this, is read behind that one.

    Args:    pool: what the head reads. The paper found both about equally good; its code takes the mean.
    """
    return replace(encoder.encoder, num_classes=num_classes, pos_embed="learned", pool=pool,
                   norm_after_pool=pool == "mean", drop_path=drop_path)


def begin_with_encoder(model: VisionTransformer, autoencoder: MaskedAutoencoder) -> None:
    """Copy everything that the encoder knows; the decoder is left behind, the head begins at nearly nothing.

    Args:    model: of `classifier_config`; any other raises KeyError or RuntimeError, as nothing is left out silently.
    """
    learned = autoencoder.state_dict()
    model.load_state_dict({name: value if name.startswith(FRESH) else learned[name]
                           for name, value in model.state_dict().items()})
    nn.init.trunc_normal_(model.head.weight, std=2e-5)


def begin_with(weights_id: str, model: VisionTransformer) -> None:
    """`begin_with_encoder`, from weights by their id."""
    begin_with_encoder(model, load(weights_id).model)


RECIPE = Recipe(
    weights_id="vit_mae_photos112",
    model=VisionTransformer,
    config=classifier_config(mae.RECIPE.config, num_classes=179, pool="mean", drop_path=0.1),
    begin=partial(begin_with, mae.RECIPE.weights_id),
    task=partial(photo_classes, augmentation=Augmentation(smallest_crop=0.35, colour=0.3, label_smoothing=0.1)),
    plan=Plan(steps=3000, batch_size=64, lr=1e-3, warmup=150, weight_decay=0.05, betas=(0.9, 0.999), layer_decay=0.75,
              ema=0.998, evaluate_every=500, save_every=100),
)
