"""Every sentence in both languages: the same keys, the same fields, real Chinese with full-width punctuation."""

from __future__ import annotations

import json
import re
import string
from functools import cache
from pathlib import Path

import pytest

TEXT = Path(__file__).parent.parent / "assets" / "text"
FILES = sorted(path.relative_to(TEXT / "en").as_posix() for path in (TEXT / "en").rglob("*.json"))

# Names that Chinese readers read in Latin letters: an English text of nothing else needs no Chinese.
NAMES = {
    "ALiBi", "AVIF", "ConvNeXt", "CSV", "DeiT", "DINO", "DINOv2", "English", "GELU", "GIF", "GitHub", "HEIC", "HTML",
    "ImageNet", "JPEG", "JSON", "LayerNorm", "MAE", "MLP", "NaN", "NPZ", "PNG", "Python", "QKV", "ReLU", "RoPE", "SDPA",
    "SVG", "Swin", "TIFF", "TFSSS", "URL", "ViT", "WebP", "arXiv", "softmax", "tfsss",
}
CHINESE = "\u3400-\u9fff"
HALF_WIDTH = re.compile(rf"[{CHINESE}][,;:!?()]|[,;:!?()][{CHINESE}]|[{CHINESE}]\.(?=\s|$)")


@cache
def sentences(language: str, file: str) -> dict[str, str]:
    """Dotted key -> text; lists count their items."""
    def flat(value, key: str) -> dict[str, str]:
        if isinstance(value, str):
            return {key: value}
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {inner: text for name, item in items for inner, text in flat(item, f"{key}.{name}").items()}

    return flat(json.loads((TEXT / language / file).read_text(encoding="utf-8")), file)


def prose(text: str) -> str:
    """Without what is the same in every language: formulas, code, links' addresses, fields, emphasis."""
    text = re.sub(r"\$\$.*?\$\$|\$.*?\$|`[^`]*`|\]\([^)]*\)|https?://\S+", " ", text, flags=re.DOTALL)
    return re.sub(r"\{[^{}]*\}|\*+", "", text)


def faults_of(english: str, chinese: str) -> list[str]:
    """What is wrong with one pair of texts."""
    faults = []
    for text in (english, chinese):
        if not text.strip():
            faults.append("empty")
    if fields(english) != fields(chinese):
        faults.append(f"fields {sorted(fields(english))} and {sorted(fields(chinese))}")
    words = set(re.findall(r"[A-Za-z]\w{2,}", prose(english))) - NAMES
    if words and not re.search(f"[{CHINESE}]", chinese):
        faults.append("no Chinese")
    if re.search(f"[{CHINESE}]", english) and prose(english).strip() != "中文":
        faults.append("Chinese in the English")
    if (found := HALF_WIDTH.search(prose(chinese))):
        faults.append(f"half-width punctuation {found.group()!r}")
    if re.search("[\uff0c\u3002\uff1b\uff1a\uff08\uff09\uff01\uff1f\u3001]", english):
        faults.append("full-width punctuation in the English")
    if "!" in re.sub(r"`[^`]*`|\$.*?\$|!=|!\[", "", english) or "！" in chinese:
        faults.append("an exclamation")
    return faults


def fields(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field is not None}


def test_both_languages_have_the_same_files():
    chinese = sorted(path.relative_to(TEXT / "zh").as_posix() for path in (TEXT / "zh").rglob("*.json"))
    assert FILES == chinese and len(FILES) > 5


@pytest.mark.parametrize("file", FILES)
def test_every_sentence_is_said_in_both_languages(file):
    english, chinese = sentences("en", file), sentences("zh", file)
    assert english.keys() == chinese.keys()
    assert list(english) == list(chinese), "the same keys in another order are hard to compare"
    faults = [f"{key}: {fault}" for key in english for fault in faults_of(english[key], chinese[key])]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(("english", "chinese", "fault"), [
    ("Pinned.", " ", "empty"), ("A cat", "A cat", "no Chinese"), ("{a} of {b}", "{a} / {c}", "fields"),
    ("Pinned; let go.", "已固定;再次点击松开。", "half-width"), ("Head {head}.", "第 {head} 个头.", "half-width"),
    ("Key (orange)", "键(橙色)", "half-width"), ("**Key**, value", "**键**,值", "half-width"),
    ("Done!", "完成。", "exclamation"), ("Cat，", "猫", "full-width"),
])
def test_a_fault_is_noticed(english, chinese, fault):
    assert any(fault in found for found in faults_of(english, chinese))


@pytest.mark.parametrize(("english", "chinese"), [
    ("{unit} {value}", "{unit} {value}"), ("DINOv2 ViT-S/14", "DINOv2 ViT-S/14"), ("$q \\cdot k$", "$q \\cdot k$"),
    ("Shape `(b, n, d)`: tokens", "形状 `(b, n, d)`：词元"), ("See [Patches](patches).", "见[图像块](patches)。"),
    ("中文", "中文"),
])
def test_good_pairs_pass(english, chinese):
    assert not faults_of(english, chinese)
