"""Checkpoints as transformers, timm and the papers' authors write them, small and random; and reading them."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.models.references import randomise
from tfsss.errors import InputError
from tfsss.weights import load_checkpoint

WIDTHS = {"image_size": 32, "patch_size": 8, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
          "intermediate_size": 96}
DECODER = {"decoder_hidden_size": 32, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2,
           "decoder_intermediate_size": 48}
NO_MLP = {key: value for key, value in WIDTHS.items() if key != "intermediate_size"}  # DINOv2 has a ratio instead
SWIN = {"image_size": 64, "patch_size": 4, "embed_dim": 12, "depths": [2, 2], "num_heads": [2, 3], "window_size": 4}


def pictures(side: int = 32, across: int | None = None) -> Tensor:
    return torch.randn(2, 3, side, across or side, generator=torch.Generator().manual_seed(1))


def hugging_face(name: str, **options):
    """A randomised model of transformers."""
    import transformers

    config = name.removesuffix("WithTeacher").removesuffix("ForImageClassification").removesuffix("ForPreTraining")
    made = getattr(transformers, f"{config.removesuffix('Model')}Config")(**options)
    return randomise(getattr(transformers, name)(made))


def timm_vit(distilled: bool = False, width: int = 128, **options):
    from timm.models.deit import VisionTransformerDistilled
    from timm.models.vision_transformer import VisionTransformer

    made = {"img_size": 32, "patch_size": 8, "embed_dim": width, "depth": 2, "num_heads": 2, "num_classes": 5}
    return randomise((VisionTransformerDistilled if distilled else VisionTransformer)(**made | options))


def timm_swin():
    from timm.models.swin_transformer import SwinTransformer

    return randomise(SwinTransformer(img_size=64, patch_size=4, embed_dim=12, depths=(2, 2), num_heads=(2, 3),
                                     window_size=4, num_classes=5))


def saved(tensors: dict[str, Tensor], path, wrapped_in: str | None = None, **beside):
    """A file as torch.save or safetensors write it, by the path's ending."""
    if path.suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    else:
        torch.save({wrapped_in: tensors, **beside} if wrapped_in else tensors, path)
    return path


def reason(*arguments, **options) -> InputError:
    """The error that a file is refused with; it has its sentence in both languages."""
    with pytest.raises(InputError) as raised:
        load_checkpoint(*arguments, **options)
    assert raised.value.sentence("zh") and raised.value.error_id.startswith(("checkpoint.", "variant."))
    return raised.value


def last_hidden_state(model, images: Tensor, **options) -> Tensor:
    inner = getattr(model, model.base_model_prefix, model)
    return inner(images, **options).last_hidden_state
