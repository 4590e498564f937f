"""Our encoder-decoder beside `torch.nn.Transformer`: the same random weights, every layer, every mix of masks."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations, product

import pytest
import torch
from einops import repeat
from torch import Tensor, nn
from torch.testing import assert_close

from tests.models.references import randomise
from tfsss.layers import masks
from tfsss.layers.masks import Masks, encoder_decoder_masks
from tfsss.models.transformer import VARIANTS, Transformer, TransformerConfig, greedy_decode
from tfsss.probe import capture

VECTORS = TransformerConfig(embed_dim=24, encoder_depth=2, decoder_depth=2, num_heads=4, hidden_dim=40)
LENGTHS = [(4, 3), (6, 5), (1, 2)]  # tokens of (source, target) in each row of the batch; the rest is padding
SOURCE_TOKENS = torch.tensor([[place < n for place in range(6)] for n, _ in LENGTHS])
TARGET_TOKENS = torch.tensor([[place < n for place in range(5)] for _, n in LENGTHS])
RULES = [
    (r"^(en|de)coder\.layers\.", r"\1coder."), (r"^(en|de)coder\.norm", r"\1coder_norm"),
    (r"in_proj_(weight|bias)", r"qkv.\1"), (r"out_proj", "proj"), (r"multihead_attn", "cross_attn"),
    (r"linear1", "mlp.fc1"), (r"linear2", "mlp.fc2"), (r"norm1", "around_attn.norm"), (r"norm3", "around_mlp.norm"),
    (r"^(encoder\.\d+\.)norm2", r"\1around_mlp.norm"), (r"^(decoder\.\d+\.)norm2", r"\1around_cross.norm"),
]


def torch_transformer(config: TransformerConfig) -> nn.Transformer:
    options = {"dropout": 0.0, "batch_first": True, "norm_first": config.norm_first, "activation": config.activation}
    shape = config.embed_dim, config.num_heads, config.hidden_dim
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(*shape, **options), config.encoder_depth,
                                    nn.LayerNorm(config.embed_dim) if config.final_norm else None,
                                    enable_nested_tensor=False)
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(*shape, **options), config.decoder_depth,
                                    nn.LayerNorm(config.embed_dim) if config.final_norm else None)
    reference = nn.Transformer(*shape[:2], custom_encoder=encoder, custom_decoder=decoder, batch_first=True)
    return randomise(reference).train()  # in evaluation its fast path would zero padded rows; it has no dropout


def ours_like(reference: nn.Transformer, config: TransformerConfig) -> Transformer:
    state = {}
    for name, tensor in reference.state_dict().items():
        for pattern, mine in RULES:
            name = re.sub(pattern, mine, name)
        state[name] = tensor
    model = Transformer(config).eval()
    model.load_state_dict(state, strict=True)
    return model


def vectors() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(3, 6, 24, generator=generator), torch.randn(3, 5, 24, generator=generator)


def reference_layers(reference: nn.Transformer, **options) -> list[Tensor]:
    """Every layer's output and the result."""
    seen = []
    layers = [*reference.encoder.layers, reference.encoder, *reference.decoder.layers]
    handles = [layer.register_forward_hook(lambda _m, _i, output: seen.append(output)) for layer in layers]
    result = reference(*vectors(), **options)
    for handle in handles:
        handle.remove()
    return [*seen, result]


def our_layers(model: Transformer, given: Masks | None) -> list[Tensor]:
    with capture(model, "encoder.*.output", "memory", "decoder.*.output") as seen:
        result = model(*vectors(), given)
    return [*seen.values(), result]


def assert_layers(ours: list[Tensor], theirs: list[Tensor]) -> None:
    assert len(ours) == len(theirs) == 6
    assert torch.stack([(mine - other).abs().max() for mine, other in zip(ours, theirs)]).max() < 1e-4  # NaN fails too
    assert (theirs[0] - theirs[1]).abs().max() > 0.1


def mixes(*kinds: Tensor) -> list[Tensor | None]:
    """No mask, each, and every two and more together."""
    chosen = [combination for count in range(len(kinds) + 1) for combination in combinations(kinds, count)]
    return [masks.all_of(*combination) if combination else None for combination in chosen]


def blocked(allowed: Tensor | None, rows: int, columns: int) -> Tensor | None:
    """As `nn.MultiheadAttention` wants a mask that differs from row to row of the batch."""
    if allowed is None:
        return None
    return masks.to_blocked(repeat(allowed.expand(3, 1, rows, columns), "b 1 m n -> (b h) m n", h=VECTORS.num_heads))


@pytest.mark.parametrize("norm_first", [False, True])
def test_every_layer_agrees_under_every_mix_of_masks(norm_first):
    config = replace(VECTORS, norm_first=norm_first)
    reference = torch_transformer(config)
    ours = ours_like(reference, config)
    source = mixes(masks.causal(6), masks.key_padding(SOURCE_TOKENS), masks.query_padding(SOURCE_TOKENS))
    target = mixes(masks.causal(5), masks.key_padding(TARGET_TOKENS), masks.query_padding(TARGET_TOKENS))
    memory = mixes(masks.key_padding(SOURCE_TOKENS), masks.query_padding(TARGET_TOKENS))
    pairs = product([(each, blocked(each, 6, 6)) for each in source], [(each, blocked(each, 5, 5)) for each in target],
                    [(each, blocked(each, 5, 6)) for each in memory])
    for given, theirs in map(lambda three: zip(*three), pairs):
        names = ("src_mask", "tgt_mask", "memory_mask")
        assert_layers(our_layers(ours, Masks(*given)), reference_layers(reference, **dict(zip(names, theirs))))


@pytest.mark.parametrize("final_norm", [False, True])
@pytest.mark.parametrize(("norm_first", "activation"), [(False, "relu"), (True, "relu"), (True, "gelu")])
def test_with_and_without_the_final_norm_and_the_references_own_arguments(norm_first, activation, final_norm):
    config = replace(VECTORS, norm_first=norm_first, activation=activation, final_norm=final_norm)
    reference = torch_transformer(config)
    ours = ours_like(reference, config)
    source_padding, target_padding = masks.to_blocked(SOURCE_TOKENS), masks.to_blocked(TARGET_TOKENS)
    theirs = reference_layers(reference, tgt_mask=masks.to_additive_inf(masks.causal(5)),
                              src_key_padding_mask=source_padding.float().masked_fill(source_padding, -torch.inf),
                              tgt_key_padding_mask=target_padding.float().masked_fill(target_padding, -torch.inf),
                              memory_key_padding_mask=source_padding)
    assert_layers(our_layers(ours, encoder_decoder_masks(SOURCE_TOKENS, TARGET_TOKENS)), theirs)
    assert_layers(our_layers(ours, None), reference_layers(reference))


def test_the_fast_path_agrees_on_valid_rows():
    reference = torch_transformer(VECTORS).eval()
    ours = ours_like(reference, VECTORS)
    with torch.no_grad():
        theirs = reference.encoder(vectors()[0], src_key_padding_mask=masks.to_blocked(SOURCE_TOKENS))
        mine = ours.encode(vectors()[0], masks.key_padding(SOURCE_TOKENS))
    assert_close(mine[SOURCE_TOKENS], theirs[SOURCE_TOKENS], atol=1e-4, rtol=0)


def test_blocked_rows_are_zeros():
    model = randomise(Transformer(VECTORS))
    given = Masks(masks.cross(SOURCE_TOKENS, SOURCE_TOKENS),
                  masks.all_of(masks.causal(5), masks.cross(TARGET_TOKENS, TARGET_TOKENS)),
                  masks.cross(TARGET_TOKENS, SOURCE_TOKENS))
    with capture(model, "*.weights") as seen:
        result = model(*vectors(), given)
    assert result.isfinite().all()
    assert len(seen) == 6
    for name, weights in seen.items():
        tokens = SOURCE_TOKENS if name.startswith("encoder") else TARGET_TOKENS
        sums = weights.sum(dim=-1).transpose(1, 2)  # b m h
        assert sums[~tokens].equal(torch.zeros_like(sums[~tokens]))
        assert_close(sums[tokens], torch.ones_like(sums[tokens]))


@pytest.mark.parametrize("norm_first", [False, True])
def test_nobody_learns_of_the_future_or_of_padding(norm_first):
    model = randomise(Transformer(replace(VARIANTS["mini"], norm_first=norm_first)))
    source, target = torch.randint(1, 11, (3, 6)), torch.randint(1, 13, (3, 5))
    given = encoder_decoder_masks(SOURCE_TOKENS, TARGET_TOKENS)
    before = model(source, target, given)
    assert before.shape == (3, 5, 13)
    assert model(source.masked_fill(~SOURCE_TOKENS, 0), target, given).equal(before)
    for place in range(1, 5):
        changed = target.clone()
        changed[:, place] = target[:, place] % 12 + 1
        after = model(source, changed, given)
        assert after[:, :place].equal(before[:, :place])
        assert not after[TARGET_TOKENS[:, place], place].isclose(before[TARGET_TOKENS[:, place], place]).all()


def test_more_padding_changes_nothing():
    model = randomise(Transformer(VARIANTS["mini"]))
    source, target = torch.randint(1, 11, (1, 4)), torch.randint(1, 13, (1, 3))
    plain = model(source, target, encoder_decoder_masks(source > 0, target > 0))
    longer = [nn.functional.pad(ids, (0, 7)) for ids in (source, target)]
    assert_close(model(*longer, encoder_decoder_masks(*(ids > 0 for ids in longer)))[:, :3], plain, atol=1e-5, rtol=0)


def test_the_embedding_is_the_papers():
    model = randomise(Transformer(VARIANTS["mini"]))
    ids = torch.randint(0, 11, (2, 7))
    embedded = model.source_embed(ids)
    for b, place, channel in product(range(2), range(7), range(24)):
        angle = torch.tensor(place / 10_000 ** (channel // 2 * 2 / 24))
        wave = angle.sin() if channel % 2 == 0 else angle.cos()
        expected = model.source_embed.table.weight[ids[b, place], channel] * 24**0.5 + wave
        assert abs(embedded[b, place, channel] - expected) < 1e-5


def test_greedy_decoding_writes_the_likeliest_until_the_end():
    model = randomise(Transformer(VARIANTS["mini"]), seed=5)
    source = torch.randint(1, 11, (8, 6), generator=torch.Generator().manual_seed(0))
    tokens = torch.arange(6) < torch.tensor([6, 5, 4, 3, 2, 1, 6, 6])[:, None]
    options = {"start": 1, "padding": 0, "max_length": 9}
    free = greedy_decode(model, source, tokens, end=-1, **options)  # no such token: never ends
    assert free.shape == (8, 10) and (free[:, 0] == 1).all()
    scores = model(source, free[:, :-1], encoder_decoder_masks(tokens, torch.ones(8, 9, dtype=torch.bool)))
    assert scores.argmax(dim=-1).equal(free[:, 1:])
    end = next(int(free[0, place]) for place in range(2, 10) if free[0, place] not in free[0, 1:place])
    length = free[0].tolist().index(end) + 1
    written = greedy_decode(model, source, tokens, end=end, **options)
    for row, unlimited in zip(written.tolist(), free.tolist()):
        stop = unlimited.index(end, 1) + 1 if end in unlimited[1:] else len(unlimited)
        assert row == (unlimited[:stop] + [0] * 10)[:len(row)]
    assert greedy_decode(model, source[:1], tokens[:1], end=end, **options).equal(free[:1, :length])


def test_a_config_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="3 heads"):
        TransformerConfig(embed_dim=25, num_heads=3)
    with pytest.raises(ValueError, match="even"):
        TransformerConfig(embed_dim=15, num_heads=3, source_vocab=5)


def test_it_learns_to_copy():
    torch.manual_seed(0)
    model = Transformer(replace(VARIANTS["mini"], source_vocab=8, target_vocab=8, encoder_depth=1, decoder_depth=1))
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    tokens = torch.ones(32, 3, dtype=torch.bool)
    for _ in range(150):
        source = torch.randint(2, 8, (32, 3))
        target = torch.cat([torch.ones(32, 1, dtype=torch.int64), source[:, :-1]], dim=1)
        scores = model(source, target, encoder_decoder_masks(tokens, tokens))
        loss = nn.functional.cross_entropy(scores.transpose(1, 2), source)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.2
    written = greedy_decode(model.eval(), source, tokens, start=1, end=-1, padding=0, max_length=3)
    assert (written[:, 1:] == source).all(dim=1).float().mean() > 0.9
