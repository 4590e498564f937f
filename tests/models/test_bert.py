"""Our BERT beside transformers': the same random weights, every layer, with segments and padding."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from tests.models.references import randomise, renamed
from tfsss.errors import InputError
from tfsss.layers.masks import cross, key_padding
from tfsss.models.bert import VARIANTS, Bert, BertConfig
from tfsss.probe import capture

MINI = replace(VARIANTS["mini"], depth=3)
RULES = [
    (r"^bert\.", ""), (r"^embeddings\.LayerNorm", "embeddings.norm"), (r"^encoder\.layer\.", "blocks."),
    (r"attention\.self\.query", "attn.q_proj"), (r"attention\.self\.key", "attn.k_proj"),
    (r"attention\.self\.value", "attn.v_proj"), (r"attention\.output\.dense", "attn.proj"),
    (r"attention\.output\.LayerNorm", "norm1"), (r"intermediate\.dense", "mlp.fc1"),
    (r"(blocks\.\d+)\.output\.dense", r"\1.mlp.fc2"), (r"output\.LayerNorm", "norm2"),
    (r"^pooler\.dense", "pooler.0"), (r"^cls\.predictions\.transform\.LayerNorm", "language_head.norm"),
    (r"^cls\.predictions\.(transform\.)?", "language_head."),
]
LENGTHS = (9, 4, 1)  # word pieces in each row of the batch; the rest is padding
TOKENS = torch.tensor([[place < n for place in range(9)] for n in LENGTHS])


def sentences(config: BertConfig = MINI) -> tuple[Tensor, Tensor]:
    """Random word pieces, 0 where padding stands, and segments that change in the middle of a row."""
    generator = torch.Generator().manual_seed(4)
    ids = torch.randint(1, config.vocab_size, TOKENS.shape, generator=generator)
    segments = (torch.arange(9) >= torch.tensor([[5], [2], [1]])).long()
    return ids * TOKENS, segments * TOKENS


def hugging_face(config: BertConfig, kind: str) -> nn.Module:
    import transformers

    return randomise(getattr(transformers, kind)(transformers.BertConfig(
        vocab_size=config.vocab_size, hidden_size=config.embed_dim, num_hidden_layers=config.depth,
        num_attention_heads=config.num_heads, intermediate_size=config.hidden_dim, pad_token_id=0,
        max_position_embeddings=config.max_length, type_vocab_size=config.num_segments,
        attn_implementation="eager")))


def ours_like(reference: nn.Module, config: BertConfig) -> Bert:
    state = renamed(reference, RULES)
    if config.language_head:  # the table is shared, and the bias is there twice
        assert state.pop("language_head.decoder.weight").equal(state["embeddings.word_embeddings.weight"])
        assert state.pop("language_head.decoder.bias").equal(state["language_head.bias"])
    model = Bert(config)
    model.load_state_dict(state, strict=True)
    return model.eval()


@torch.no_grad()
def reference_layers(reference: nn.Module, padded: bool) -> tuple[list[Tensor], object]:
    """Embedded tokens, of every layer its attention weights and output; and what the model returns."""
    ids, segments = sentences()
    result = reference(ids, token_type_ids=segments, attention_mask=TOKENS.long() if padded else None,
                       output_attentions=True, output_hidden_states=True)
    embedded, *outputs = result.hidden_states
    return [embedded, *(each for pair in zip(result.attentions, outputs) for each in pair)], result


def our_layers(model: Bert, padded: bool) -> tuple[list[Tensor], Tensor]:
    with capture(model, "embedded", "blocks.*.attn.weights", "blocks.*.output") as seen:
        result = model(*sentences(), key_padding(TOKENS) if padded else None)
    return list(seen.values()), result


def assert_same(ours: list[Tensor], theirs: list[Tensor]) -> None:
    assert len(ours) == len(theirs) == 1 + 2 * MINI.depth
    for mine, other in zip(ours, theirs):
        assert mine.dtype == torch.float32
        assert_close(mine, other, atol=1e-4, rtol=0)  # padded rows too
    assert (theirs[1] - theirs[3]).abs().max() > 0.01 and (theirs[2] - theirs[4]).abs().max() > 0.1


@pytest.mark.parametrize("padded", [False, True])
def test_every_layer_and_the_pooler_agree_with_transformers(padded):
    config = replace(MINI, language_head=False)
    reference = hugging_face(config, "BertModel")
    theirs, result = reference_layers(reference, padded)
    model = ours_like(reference, config)
    ours, features = our_layers(model, padded)
    assert_same(ours, theirs)
    assert_close(features, result.last_hidden_state, atol=1e-4, rtol=0)
    assert_close(model.pool(features), result.pooler_output, atol=1e-4, rtol=0)
    assert result.pooler_output.std() > 0.1


@pytest.mark.parametrize("padded", [False, True])
def test_every_layer_and_every_score_agree_with_transformers_masked_language_model(padded):
    config = replace(MINI, pooler=False)
    reference = hugging_face(config, "BertForMaskedLM")
    theirs, result = reference_layers(reference, padded)
    ours, scores = our_layers(ours_like(reference, config), padded)
    assert_same(ours, theirs)
    assert scores.shape == (3, 9, MINI.vocab_size) and result.logits.std() > 0.1
    assert_close(scores, result.logits, atol=1e-4, rtol=0)


def test_minilms_shape_agrees_with_transformers():
    config = replace(VARIANTS["minilm_l6"], vocab_size=50, max_length=12, depth=2)
    assert (VARIANTS["minilm_l6"].depth, config.embed_dim, config.num_heads, config.hidden_dim) == (6, 384, 12, 1536)
    reference = hugging_face(config, "BertModel")
    ids, segments = sentences(config)
    with torch.no_grad():
        theirs = reference(ids, token_type_ids=segments, attention_mask=TOKENS.long())
    model = ours_like(reference, config)
    features = model.forward_features(ids, segments, key_padding(TOKENS)).detach()
    assert_close(features, theirs.last_hidden_state, atol=1e-4, rtol=0)
    assert_close(model.pool(features).detach(), theirs.pooler_output, atol=1e-4, rtol=0)


def test_the_norms_keep_to_their_eps():
    config = replace(MINI, norm_eps=0.5, depth=1, pooler=False)
    model = randomise(Bert(config))
    with capture(model, "embeddings.*", "embedded") as seen:
        model(*sentences())
    total = seen["embeddings.words"] + seen["embeddings.positions"] + seen["embeddings.segments"]
    centred = total - total.mean(dim=-1, keepdim=True)
    normed = centred / (centred.square().mean(dim=-1, keepdim=True) + 0.5).sqrt()
    assert_close(seen["embedded"], normed * model.embeddings.norm.weight + model.embeddings.norm.bias)
    norms = [module for module in model.modules() if isinstance(module, nn.LayerNorm)]
    assert [norm.eps for norm in norms] == [0.5] * 4


def test_a_token_is_its_word_its_place_and_its_segment():
    model = randomise(Bert(MINI))
    ids, segments = sentences()
    with capture(model, "embeddings.*") as seen:
        model.embed(ids, segments)
    assert seen["embeddings.words"].equal(model.embeddings.word_embeddings.weight[ids])
    assert seen["embeddings.positions"].equal(model.embeddings.position_embeddings.weight[:9])
    assert seen["embeddings.segments"].equal(model.embeddings.token_type_embeddings.weight[segments])
    assert model(ids).equal(model(ids, torch.zeros_like(ids)))
    assert not model(ids).equal(model(ids, segments))


def test_padding_changes_nothing_for_tokens_and_gets_no_attention():
    model = randomise(Bert(MINI))
    ids, segments = sentences()
    with capture(model, "blocks.*.attn.weights") as seen:
        together = model(ids, segments, key_padding(TOKENS))
    for row, length in enumerate(LENGTHS):
        alone = model(ids[row:row + 1, :length], segments[row:row + 1, :length])
        assert_close(together[row:row + 1, :length], alone, atol=1e-4, rtol=0)
        assert all((weights[row, :, :, length:] == 0).all() for weights in seen.values())
    assert (model(ids, segments)[1, :4] - together[1, :4]).abs().max() > 0.01


def test_rows_of_padding_may_be_blocked_too():
    model = randomise(Bert(MINI))
    scores = model(*sentences(), cross(TOKENS, TOKENS))
    assert scores.isfinite().all()
    assert_close(scores[TOKENS], model(*sentences(), key_padding(TOKENS))[TOKENS], atol=1e-4, rtol=0)


def test_without_pooler_and_head_the_class_token_and_the_features_come_out():
    model = randomise(Bert(replace(MINI, pooler=False, language_head=False)))
    features = model.forward_features(*sentences())
    assert model(*sentences()).equal(features) and model.pool(features).equal(features[:, 0])


def test_outputs_are_bit_equal_with_and_without_probes():
    model = randomise(Bert(MINI))
    plain = model(*sentences(), key_padding(TOKENS))
    with capture(model, "*") as seen:
        assert model(*sentences(), key_padding(TOKENS)).equal(plain)
    assert {"embeddings.words", "embedded", "blocks.2.attn.scores", "blocks.2.output"} <= set(seen)


@pytest.mark.parametrize(("name", "millions"), [("base", 109.48), ("large", 335.14), ("minilm_l6", 22.71)])
def test_variants_have_the_known_number_of_parameters(name, millions):
    with torch.device("meta"):
        model = Bert(replace(VARIANTS[name], language_head=False))
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)


def test_a_text_that_is_too_long_and_a_config_that_cannot_be_are_refused():
    assert Bert(MINI)(torch.zeros(1, 16, dtype=torch.int64)).shape == (1, 16, 40)
    with pytest.raises(InputError, match="17 word pieces, .* 16;") as caught:
        Bert(MINI)(torch.zeros(1, 17, dtype=torch.int64))
    assert caught.value.error_id == "bert.too_long"
    with pytest.raises(ValueError, match="5 heads"):
        BertConfig(embed_dim=24, num_heads=5)


def test_dropout_acts_in_training_only_and_gradients_are_finite():
    model = Bert(replace(MINI, dropout=0.5)).train()
    assert not model(*sentences()).equal(model(*sentences()))
    model(*sentences(), key_padding(TOKENS)).logsumexp(dim=-1).sum().backward()
    unused = {"pooler.0.weight", "pooler.0.bias"}
    assert all(parameter.grad.isfinite().all() for name, parameter in model.named_parameters() if name not in unused)
    model.eval()
    assert model(*sentences()).equal(model(*sentences()))
