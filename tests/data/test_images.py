"""The loader against files of every kind: right pixels, bounded time and memory, one sentence for all that is wrong."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tfsss.data.decoding import LIMITS, SCAN_MEGAPIXELS
from tfsss.data.images import Picture, bundled, fit, load_image
from tfsss.errors import TEXT, InputError, error_sentences

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def saved(image: Image.Image, form: str, **options) -> bytes:
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def quadrants(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Red, green over blue, white: every turn and flip of it is different."""
    pixels = np.empty((size[1], size[0], 3), np.uint8)
    middle_y, middle_x = size[1] // 2, size[0] // 2
    pixels[:middle_y, :middle_x], pixels[:middle_y, middle_x:] = RED, GREEN
    pixels[middle_y:, :middle_x], pixels[middle_y:, middle_x:] = BLUE, WHITE
    return Image.fromarray(pixels).convert(mode)


def corners(picture: Picture) -> np.ndarray:
    """(4, 3): the middles of the quadrants, left to right, then down."""
    y, x = picture.height, picture.width
    return picture.pixels[[y // 4, y // 4, -y // 4, -y // 4], [x // 4, -x // 4, x // 4, -x // 4]].astype(int)


def refused(source: bytes | Path, error_id: str) -> str:
    """The English sentence; checks that the Chinese one takes the same numbers and is Chinese."""
    with pytest.raises(InputError) as caught:
        load_image(source)
    assert caught.value.error_id == f"image.{error_id}"
    assert re.search("[\u4e00-\u9fff]", caught.value.sentence("zh"))
    return str(caught.value)


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces any size and holds next to nothing."""
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("form", "options", "tolerance"), [
    ("PNG", {}, 0), ("BMP", {}, 0), ("GIF", {}, 0), ("TIFF", {}, 0), ("TIFF", {"compression": "tiff_lzw"}, 0),
    ("WEBP", {"lossless": True}, 0), ("WEBP", {}, 12), ("AVIF", {}, 12), ("HEIF", {}, 12),
    ("JPEG", {"quality": 95}, 12), ("JPEG", {"progressive": True}, 12),
])
def test_every_format_gives_its_colours(form, options, tolerance):
    picture = load_image(saved(quadrants(), form, **options))
    np.testing.assert_allclose(corners(picture), [RED, GREEN, BLUE, WHITE], atol=tolerance)
    assert (picture.width, picture.height, picture.source_size, picture.notes) == (64, 48, (64, 48), ())


@pytest.mark.parametrize(("mode", "form"), [
    ("P", "PNG"), ("P", "GIF"), ("CMYK", "TIFF"), ("CMYK", "JPEG"), ("YCbCr", "JPEG"), ("YCbCr", "TIFF"),
    ("RGBA", "PNG"), ("RGBA", "WEBP"), ("RGBA", "HEIF"), ("RGBA", "AVIF"),
])
def test_every_mode_gives_its_colours(mode, form):
    picture = load_image(saved(quadrants(mode), form))
    np.testing.assert_allclose(corners(picture), [RED, GREEN, BLUE, WHITE], atol=20)


@pytest.mark.parametrize(("mode", "form"), [("1", "PNG"), ("L", "PNG"), ("L", "JPEG"), ("LA", "PNG")])
def test_grey_is_three_equal_channels(mode, form):
    grey = Image.fromarray(np.repeat(np.uint8([[0, 255]]), 16, axis=0).repeat(16, axis=1)).convert(mode)
    pixels = load_image(saved(grey, form)).pixels
    assert pixels.shape == (16, 32, 3)
    np.testing.assert_allclose(pixels[8, [4, 28]], [[0, 0, 0], WHITE], atol=3)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_exif_rotation_is_undone(form, orientation):
    upright = quadrants()
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that stores it so; 6 and 8 undo each other
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = load_image(saved(stored, form, exif=exif if form == "TIFF" else exif.tobytes()))
    assert (picture.width, picture.height, picture.source_size) == (64, 48, (64, 48))
    np.testing.assert_allclose(corners(picture), [RED, GREEN, BLUE, WHITE], atol=12)


def test_a_reduced_photograph_is_turned_too():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(quadrants(size=(4000, 3000)).transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    picture = load_image(data, max_side=400)
    assert (picture.width, picture.height, picture.source_size, picture.notes) == (400, 300, (4000, 3000), ("reduced",))
    np.testing.assert_allclose(corners(picture), [RED, GREEN, BLUE, WHITE], atol=12)


@pytest.mark.parametrize("block", [
    b"II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 3,  # announces 65,535 entries and ends
    b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x02\0\0\0up\0\0\0\0\0\0",  # the orientation is a word
])
def test_a_broken_exif_block_spoils_no_picture(block):
    picture = load_image(saved(quadrants(), "JPEG", exif=b"Exif\0\0" + block))
    np.testing.assert_allclose(corners(picture), [RED, GREEN, BLUE, WHITE], atol=20)


def test_alpha_lies_on_white_and_hides_its_colour():
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:4] = (255, 0, 0, 0)  # a hidden red
    pixels[4:] = (0, 0, 0, 128)
    picture = load_image(saved(Image.fromarray(pixels), "PNG"))
    assert picture.pixels[0, 0].tolist() == [255, 255, 255]
    assert picture.pixels[7, 0].tolist() == [127, 127, 127]


def test_a_transparent_palette_colour_is_white():
    palette = quadrants().quantize(4)
    data = saved(palette, "PNG", transparency=palette.getpixel((0, 0)))
    np.testing.assert_allclose(corners(load_image(data)), [WHITE, GREEN, BLUE, WHITE], atol=1)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_full_range(form):
    values = np.uint16([[0, 257, 32896, 65535]]).repeat(2, axis=0)
    picture = load_image(saved(Image.fromarray(values), form))
    assert picture.pixels[0, :, 0].tolist() == [0, 1, 128, 255] and picture.notes == ()


def test_big_endian_16_bit_tiff():
    header = b"MM\0*" + struct.pack(">I", 8)
    tags = [(256, 2), (257, 1), (258, 16), (259, 1), (262, 1), (273, 122), (277, 1), (278, 1), (279, 4)]
    entries = b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags)
    data = header + struct.pack(">H", len(tags)) + entries + struct.pack(">I", 0) + struct.pack(">HH", 257, 65535)
    assert load_image(data).pixels[0, :, 0].tolist() == [1, 255]


@pytest.mark.parametrize("values", [
    [-2.0, 0.0, 2.0], [np.nan, -1.0, 1.0], [1e30, 1e30, 1e30], [np.nan] * 3, [-np.inf, 0.0, 1.0],
])
def test_float_tiff_is_stretched_from_its_least_to_its_greatest_value(values):
    data = saved(Image.fromarray(np.float32([values])), "TIFF")
    picture = load_image(data)
    finite = [v for v in values if np.isfinite(v)]
    low, high = (min(finite), max(finite)) if finite else (0, 1)
    expected = [round(255 * (v - low) / (high - low)) if np.isfinite(v) and high > low else 0 for v in values]
    assert picture.pixels[0, :, 0].tolist() == expected and picture.notes == ("stretched",)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken_and_said(form):
    red, blue = (Image.new("RGB", (20, 10), colour) for colour in (RED, BLUE))
    picture = load_image(saved(red, form, save_all=True, append_images=[blue, red]))
    np.testing.assert_allclose(picture.pixels.mean((0, 1)), RED, atol=12)
    assert picture.notes == ("first_frame",)


def test_a_camera_file_with_a_second_view_is_one_picture():
    picture = load_image(saved(quadrants(), "MPO", save_all=True, append_images=[quadrants()]))
    np.testing.assert_allclose(corners(picture), [RED, GREEN, BLUE, WHITE], atol=20)
    assert picture.notes == ()


@pytest.mark.parametrize("size", [(1, 1), (3000, 150), (150, 3000), (70_000, 1), (1, 9_000)])
def test_extreme_shapes(size):
    picture = load_image(saved(Image.new("RGB", size, (9, 99, 199)), "PNG"))
    scale = min(1, 1536 / max(size))
    assert (picture.width, picture.height) == tuple(max(1, round(side * scale)) for side in size)
    assert (picture.pixels == (9, 99, 199)).all() and picture.source_size == size


def test_reduction_neither_shifts_nor_darkens():
    ramp = np.tile(np.linspace(0, 255, 5000).astype(np.uint8), (1700, 1))  # in several bands, and no whole factor
    picture = load_image(saved(Image.fromarray(ramp), "PNG"), max_side=500)
    expected = np.linspace(0, 255, 500)
    np.testing.assert_allclose(picture.pixels[..., 0], np.tile(expected, (170, 1)), atol=1.5)
    down = load_image(saved(Image.fromarray(ramp.T.copy()), "PNG"), max_side=500)
    np.testing.assert_allclose(down.pixels[..., 0], np.tile(expected[:, None], (1, 170)), atol=1.5)


def test_reduction_does_not_alias():
    checks = Image.fromarray(np.uint8(np.indices((900, 900)).sum(0) % 2 * 255))
    assert abs(load_image(saved(checks, "PNG"), max_side=500).pixels.astype(int) - 127).max() < 12


def test_the_picture_is_named_by_its_bytes_and_cannot_be_written():
    data = saved(quadrants(), "PNG")
    picture = load_image(data)
    assert picture.digest == load_image(data).digest and len(picture.digest) == 16
    assert picture == load_image(data) and picture.digest != load_image(data + b"x").digest
    with pytest.raises(ValueError, match="read-only"):
        picture.pixels[0, 0] = 0


# What is refused, and how

def test_other_things_named_jpg(tmp_path):
    path = tmp_path / "cat.jpg"
    path.write_text("This is not a picture, it is a letter. 这不是图片。")
    assert "text" in refused(path, "text")
    assert "svg" in refused(b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "svg").lower()
    assert "text" in refused(b"<!DOCTYPE html><html><svg/></html>", "text")
    refused("这".encode() * 2000, "text")  # the first 4096 bytes end inside a letter
    refused(b"BMW and GIF89a are words too", "text")
    refused(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "unknown")
    refused(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "text")  # never handed to Ghostscript
    refused(bytes(1000), "unknown")
    assert "0 bytes" in refused(b"", "empty")
    assert "nowhere.png" in refused(tmp_path / "nowhere.png", "missing")
    refused(tmp_path, "missing")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "HEIF", "TIFF", "BMP"])
def test_a_truncated_file_of_every_format(form):
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    data = saved(Image.fromarray(pixels), form)
    sentence = refused(data[:len(data) * 2 // 3], "damaged")
    assert f"{-(-(len(data) * 2 // 3) // 1000)} kB" in sentence
    assert {"HEIF": "HEIC", "WEBP": "WebP"}.get(form, form) in sentence


def test_limits_are_said_from_the_header_with_both_numbers():
    sentence = refused(png_header(10_000, 4_100), "too_large")
    assert "10000 x 4100" in sentence and "41 megapixels" in sentence and "40" in sentence
    refused(png_header(8_000, 5_000), "damaged")  # 40 megapixels are not too many, but there are none in this file
    assert "120" in refused(png_header(20_000, 10_000), "too_large")
    assert "120 megapixels" in refused(png_header(100_000, 100_000), "bomb")
    webp = refused(saved(Image.new("L", (5_250, 4_000)), "WEBP", method=0, quality=0), "too_large")
    assert "21 megapixels" in webp and "at most 20" in webp
    heavy = refused(bytes(15 * 2**20 + 1), "too_heavy")
    assert "15.1 MB" in heavy and "15 MB" in heavy


def test_the_heaviest_file_is_allowed(tmp_path):
    path = tmp_path / "heavy.png"
    path.write_bytes(saved(quadrants(), "PNG").ljust(15 * 2**20, b"\0"))
    assert load_image(path).width == 64
    path.write_bytes(path.read_bytes() + b"\0")
    refused(path, "too_heavy")


def announcing(data: bytes, width: int, height: int) -> bytes:
    """The same JPEG, announcing another size."""
    at = next(m.start() for m in re.finditer(rb"\xff[\xc0\xc2]\x00\x11\x08", data))
    return data[:at + 5] + struct.pack(">HH", height, width) + data[at + 9:]


def test_a_large_progressive_jpeg_is_refused_and_a_small_one_is_not():
    data = saved(quadrants(), "JPEG", progressive=True)
    sentence = refused(announcing(data, 10_000, 4_100), "progressive")
    assert "41 megapixels" in sentence and "up to 40" in sentence and "baseline" in sentence
    assert load_image(data).width == 64
    refused(announcing(saved(quadrants(), "JPEG"), 12_100, 10_000), "too_large")
    one_scan = saved(quadrants(), "JPEG")
    assert load_image(announcing(one_scan, 10_000, 9_000)).source_size == (10_000, 9_000)  # grey below its few rows
    first_scan_is_grey = one_scan.replace(b"\xff\xda\0\x0c\x03", b"\xff\xda\0\x08\x01")  # baseline, in several scans
    refused(announcing(first_scan_is_grey, 10_000, 9_000), "progressive")


def test_a_jpeg_of_very_many_scans_is_refused():
    data = saved(quadrants(), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    many = data[:start] + data[start:-2] * (SCAN_MEGAPIXELS + 1) + data[-2:]
    assert f"at most {SCAN_MEGAPIXELS} " in refused(many, "scans")


def test_colours_that_cannot_be_shown():
    assert "LAB" in refused(saved(Image.new("LAB", (9, 9)), "TIFF"), "colours")


# Limits, measured

BUDGET = """
import sys, time
from io import BytesIO
from PIL import Image
from tfsss.data.images import load_image

def peak():  # MB; of this process alone, where ru_maxrss starts from what its parent had
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024

data = sys.stdin.buffer.read()
load_image({warm!r})
before, start = peak(), time.process_time()  # of the processor: a busy machine is no fault of the loader
picture = load_image(data)
print(time.process_time() - start, peak() - before, *picture.source_size, *picture.pixels.shape)
"""


def measured(data: bytes) -> tuple[float, float, list[int]]:
    script = BUDGET.format(warm=saved(quadrants(), "PNG"))
    ran = subprocess.run([sys.executable, "-c", script], input=data, capture_output=True, check=True, timeout=60,
                         cwd=TEXT.parent.parent)
    seconds, megabytes, *sizes = ran.stdout.split()
    return float(seconds), float(megabytes), [int(size) for size in sizes]


def stripes(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """Cheap to make and to compress, yet no flat colour."""
    return Image.linear_gradient("L").resize(size, Image.Resampling.NEAREST).convert(mode)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
@pytest.mark.parametrize(("form", "size", "mode", "options"), [
    ("JPEG", (12_500, 8_000), "RGB", {"quality": 50}),
    ("JPEG", (8_000, 5_000), "L", {"progressive": True, "quality": 30}),
    ("PNG", (8_000, 5_000), "RGBA", {"compress_level": 1}),
    ("WEBP", (5_000, 4_000), "RGB", {"method": 0, "quality": 1}),
])
def test_the_largest_pictures_take_2_seconds_and_400_megabytes(form, size, mode, options):
    seconds, megabytes, sizes = measured(saved(stripes(size, mode), form, **options))
    assert sizes[:2] == list(size) and max(sizes[2:4]) == 1536
    assert megabytes < 400
    assert seconds < 2


# Nothing else ever comes out

SMALL = quadrants(size=(48, 40))
SEEDS = {form: saved(SMALL, form) for form in ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "HEIF", "TIFF", "BMP")}
SEEDS |= {
    "progressive": saved(SMALL, "JPEG", progressive=True),
    "lzw": saved(SMALL, "TIFF", compression="tiff_lzw"),
    "animated": saved(SMALL, "GIF", save_all=True, append_images=[Image.new("RGB", (48, 40))]),
    "float": saved(Image.fromarray(np.eye(30, dtype=np.float32)), "TIFF"),
    "rotated": saved(SMALL, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"),
}
CHANGES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(SEEDS)), CHANGES, st.one_of(st.just(1.0), st.floats(0, 1)), st.booleans())
def test_a_damaged_file_is_a_picture_or_a_sentence(name, changes, kept, in_header):
    data = bytearray(SEEDS[name])
    for place, byte in changes:
        data[int(place * (min(len(data), 64) if in_header else len(data)))] = byte
    try:
        picture = load_image(bytes(data[:int(kept * len(data))]))
    except InputError as error:
        assert error.sentence("en") and error.sentence("zh")
    else:
        assert picture.pixels.shape == (picture.height, picture.width, 3) and picture.pixels.dtype == np.uint8


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_picture_or_a_sentence(data):
    try:
        load_image(data)
    except InputError as error:
        assert error.error_id.startswith("image.")


def test_many_threads_at_once():
    sources = [*bundled().values(), *SEEDS.values()] * 3
    expected = [load_image(source).pixels for source in sources]
    with ThreadPoolExecutor(8) as pool:
        for picture, pixels in zip(pool.map(load_image, sources), expected, strict=True):
            np.testing.assert_array_equal(picture.pixels, pixels)


# To a model's size

def test_crop_keeps_the_middle():
    pixels = np.zeros((40, 120, 3), np.uint8)
    pixels[:, :40], pixels[:, 40:80], pixels[:, 80:] = RED, GREEN, BLUE
    fitted = fit(load_image(saved(Image.fromarray(pixels), "PNG")), 40, 40)
    np.testing.assert_array_equal(fitted, np.broadcast_to(np.uint8(GREEN), (40, 40, 3)))
    tall = fit(load_image(saved(Image.fromarray(pixels.swapaxes(0, 1).copy()), "PNG")), 20, 20)
    np.testing.assert_allclose(tall[2:-2], np.broadcast_to(np.uint8(GREEN), (16, 20, 3)), atol=2)


def test_pad_shows_all_on_the_mean_colour():
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, :40] = (200, 100, 0)
    fitted = fit(load_image(saved(Image.fromarray(pixels), "PNG")), 80, 80, "pad")
    np.testing.assert_array_equal(fitted[20:60], pixels)
    assert (np.concatenate([fitted[:20], fitted[60:]]) == (100, 50, 0)).all()


def test_stretch_takes_the_whole_picture():
    fitted = fit(load_image(saved(quadrants(), "PNG")), 96, 64, "stretch")
    assert fitted[10, 10].tolist() == list(RED) and fitted[90, 60].tolist() == list(WHITE)


@pytest.mark.parametrize("policy", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(1, 1), (3000, 150), (2, 700), (451, 300)])
def test_every_policy_gives_the_size_asked_for_without_changing_a_flat_colour(policy, size):
    picture = load_image(saved(Image.new("RGB", size, (10, 120, 230)), "PNG"))
    for height, width in ((224, 224), (112, 160), (7, 3)):
        fitted = fit(picture, height, width, policy)
        assert fitted.shape == (height, width, 3) and fitted.dtype == np.uint8
        assert (fitted == (10, 120, 230)).all()


def test_shrinking_does_not_alias():
    checks = np.uint8(np.indices((512, 512)).sum(0) % 2 * 255)
    fitted = fit(load_image(saved(Image.fromarray(checks), "PNG")), 100, 100)
    assert abs(fitted.astype(int) - 127).max() < 12  # without antialiasing: black and white moire


def test_an_unknown_policy_is_named():
    with pytest.raises(ValueError, match="squeeze"):
        fit(load_image(saved(quadrants(), "PNG")), 8, 8, "squeeze")


# What ships

def test_bundled_photographs():
    assert len(bundled()) == 8
    for name, path in bundled().items():
        assert path.stat().st_size <= 120_000
        picture = load_image(path)
        assert max(picture.source_size) <= 768 and picture.notes == ()
        assert picture.pixels.std() > 20, name
        with Image.open(path) as image:
            assert image.format == "JPEG" and [marker for marker, _ in image.applist] == ["APP0"]  # no metadata
    assert len({load_image(path).digest for path in bundled().values()}) == 8


def test_every_photograph_and_note_has_its_words_and_source():
    notice = (TEXT.parent / "NOTICE").read_text(encoding="utf-8")
    words = {language: json.loads((TEXT / language / "images.json").read_text(encoding="utf-8"))
             for language in ("en", "zh")}
    expected = {f"{kind}.{name}" for kind in ("name", "alt") for name in bundled()} | {"name.own"}  # the visitor's
    expected |= {f"note.{note}" for note in ("first_frame", "reduced", "stretched")}
    assert set(words["en"]) == set(words["zh"]) == expected
    assert all(path.name in notice for path in bundled().values())


def test_both_languages_say_the_same_numbers():
    english, chinese = (error_sentences(language, "image") for language in ("en", "zh"))
    assert set(english) == set(chinese)
    for name, sentence in english.items():
        assert set(re.findall(r"{\w+}", sentence)) == set(re.findall(r"{\w+}", chinese[name])), name
        assert not re.search("[,;:()]", chinese[name]), f"{name}: half-width punctuation"
    assert max(LIMITS.values()) == LIMITS["JPEG"]
