"""What a stranger's file may do to the machine: ids that never mix two models up, and sizes that are drawn or refused."""

from __future__ import annotations

import json
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from tfsss.errors import InputError
from tfsss.models.mae import MAEConfig, MaskedAutoencoder
from tfsss.models.vit import VARIANTS, ViTConfig, VisionTransformer
from tfsss.weights import load_checkpoint
from tfsss.weights.checkpoint import MOST_GRID, MOST_WEIGHTS


def saved(model, path):
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)
    return path


def refusal(path) -> InputError:
    with pytest.raises(InputError) as error:
        load_checkpoint(path, num_heads=1)
    assert error.value.sentence("zh")
    return error.value


def test_the_same_tensors_as_another_model_have_another_id(tmp_path):
    config = MAEConfig(img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3, decoder_embed_dim=32,
                       decoder_depth=1, decoder_num_heads=1)
    path = saved(MaskedAutoencoder(config), tmp_path / "model.safetensors")
    ids = [load_checkpoint(path, family, num_heads=heads).entry.id
           for family, heads in ((None, 1), (None, 3), ("vit", 1), ("vit", 3))]
    assert len(set(ids)) == 4
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.5] * 3}))
    ids.append(load_checkpoint(path, num_heads=1).entry.id)
    assert len(set(ids)) == 5
    assert load_checkpoint(path, "mae", num_heads=1).entry.id == ids[4], "its own family is no other model"


@pytest.mark.parametrize(("depth", "heads", "side", "patch"), [(12, 12, 384, 16), (12, 12, 224, 8), (40, 16, 384, 16),
                                                               (2, 1, 512, 8)])
def test_a_picture_is_so_large_that_all_attention_can_be_kept(tmp_path, depth, heads, side, patch):
    config = ViTConfig(img_size=side, patch_size=patch, embed_dim=2 * heads, depth=depth, num_heads=heads,
                       num_classes=0, mlp_ratio=1.0)
    entry = load_checkpoint(saved(VisionTransformer(config), tmp_path / "a.safetensors"), num_heads=heads).entry
    cells = entry.input_size // patch
    assert entry.input_size % patch == 0 and entry.input_size <= side

    def fits(cells: int) -> bool:
        return cells <= MOST_GRID and depth * heads * (cells**2 + 1) ** 2 <= MOST_WEIGHTS

    assert fits(cells) and (entry.input_size == side or not fits(cells + 1))


@pytest.mark.parametrize(("model", "limit"), [
    (VisionTransformer(ViTConfig(img_size=65, patch_size=1, embed_dim=4, depth=1, num_heads=1, num_classes=0)), 64),
    (MaskedAutoencoder(MAEConfig(img_size=41, patch_size=1, embed_dim=4, depth=1, num_heads=1, decoder_embed_dim=32,
                                 decoder_depth=1, decoder_num_heads=1)), 40)])
def test_more_patches_than_can_be_drawn_are_refused(tmp_path, model, limit):
    error = refusal(saved(model, tmp_path / "a.safetensors"))
    assert (error.error_id, error.numbers["limit"], error.numbers["side"]) == ("checkpoint.too_fine", limit, limit + 1)


def test_one_number_repeated_without_end_is_refused(tmp_path):
    state = VisionTransformer(VARIANTS["mini"]).state_dict()
    state["patch_embed.proj.weight"] = torch.zeros(1).expand(100_000, 3, 800, 800)  # 768 GB, were it made
    torch.save(state, tmp_path / "a.pth")
    assert refusal(tmp_path / "a.pth").error_id == "checkpoint.swollen"


def test_a_packed_archive_is_refused_and_a_torn_one_too(tmp_path):
    torch.save(VisionTransformer(VARIANTS["mini"]).state_dict(), tmp_path / "plain.pth")
    with zipfile.ZipFile(tmp_path / "plain.pth") as plain, \
            zipfile.ZipFile(tmp_path / "a.pth", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    assert refusal(tmp_path / "a.pth").error_id == "checkpoint.packed"
    content = (tmp_path / "plain.pth").read_bytes()
    (tmp_path / "torn.pth").write_bytes(content[:len(content) // 2] + content[-200:])
    assert refusal(tmp_path / "torn.pth").error_id == "checkpoint.damaged"


@pytest.mark.parametrize("make", [
    lambda tensor: tensor.to_sparse(), lambda tensor: torch.zeros(tensor.shape, dtype=torch.complex64),
    lambda tensor: tensor.to("meta"), lambda tensor: tensor.to(torch.int64)])
def test_odd_tensors_get_a_sentence_and_no_traceback(tmp_path, make):
    state = VisionTransformer(VARIANTS["mini"]).state_dict()
    state["blocks.0.mlp.fc1.weight"] = make(state["blocks.0.mlp.fc1.weight"])
    torch.save(state, tmp_path / "a.pth")
    refusal(tmp_path / "a.pth")
