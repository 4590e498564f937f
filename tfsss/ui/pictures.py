"""Choosing the picture that every page uses: a bundled photograph, the visitor's own file, or the camera."""

from __future__ import annotations

import functools
from base64 import b64encode
from contextlib import suppress

import streamlit as st
from streamlit.errors import StreamlitAPIException

from tfsss.data.images import Picture, bundled, fit, load_image
from tfsss.errors import InputError
from tfsss.figures.overlay import jpeg
from tfsss.ui import cache, guard, state, waiting
from tfsss.ui.language import t
from tfsss.ui.thumbs import Thumb, thumbnails

OWN = "own"
UPLOADS = "_uploads"  # how many files this session has uploaded
LARGEST = 100  # MB that the browser sends; `load_image` says in a sentence that it takes 15
TYPES = ["jpg", "jpeg", "png", "webp", "avif", "heic", "heif", "gif", "tif", "tiff", "bmp"]


def current_picture() -> Picture:
    """The picture in use: the visitor's own, or a bundled one."""
    name = st.session_state.get("image", "cat")
    if name == OWN and "own_picture" in st.session_state:
        return st.session_state["own_picture"]
    return cache.bundled_picture(name if name in bundled() else "cat")


def picture_name() -> str:
    """What to call it in a caption."""
    name = st.session_state.get("image", "cat")
    if name == OWN and "own_picture" in st.session_state:
        return t("images.name.own")
    return t(f"images.name.{name if name in bundled() else 'cat'}")


def settle_picture() -> None:
    """Which picture it is, on pages too that show nothing of it: the address brings it, and keeps it."""
    state.settle("image", "image", "cat", _known)
    _link_without_its_picture()
    _record()


def choose_picture() -> None:
    """The picture's part of the sidebar, after `settle_picture`."""
    st.html(f"<style>{_uploader_css()}</style>")
    thumbnails(_thumbs(), st.session_state["image"], label=t("app.image"), key="pictures", on_pick=_pick)
    with st.container(key="upload"):
        field = f"upload_{st.session_state.setdefault(UPLOADS, 0)}"
        st.file_uploader(t("app.upload"), key=field, on_change=_take_upload, args=(field,), type=None,
                         help=t("app.upload.help"), label_visibility="collapsed", max_upload_size=LARGEST)
    if st.toggle(t("app.camera"), key="camera_on"):
        st.camera_input(t("app.camera"), key="camera", on_change=_take_file, args=("camera",),
                        label_visibility="collapsed")
    if error := st.session_state.get("image_error"):
        guard.say(error)
        st.caption(t("app.image.kept", name=picture_name()))
    for note in current_picture().notes:
        st.caption(t(f"images.note.{note}", **_sizes(current_picture())))


def _known(text: str) -> str:
    if text != OWN and text not in bundled():
        raise ValueError(text)
    return text


def _link_without_its_picture() -> None:
    """A link made with somebody's own picture cannot carry it."""
    if st.session_state["image"] == OWN and "own_picture" not in st.session_state:
        st.session_state["image"] = "cat"
        st.session_state["image_error"] = InputError("app.not_in_link")


def _record() -> None:
    image = st.session_state["image"]
    state.record("image", "image", image, None if image == "cat" else image)


def _pick(name: str) -> None:
    """Another picture: the page's stage runs again, and all of the page if more of it is about the old one."""
    said = waiting.is_running() or bool(st.session_state.pop("image_error", None) or current_picture().notes)
    st.session_state["image"] = name
    _record()
    if not said and not current_picture().notes:
        with suppress(StreamlitAPIException):  # a page without a stage runs again as a whole
            st.rerun("stage")


def _take_upload(field: str) -> None:
    """The field is an empty one afterwards: a second file in a field that holds one would draw everything twice."""
    _take_file(field)
    st.session_state[UPLOADS] += 1


def _take_file(source: str) -> None:
    """A new file replaces the picture, unless it is no usable picture: then the earlier one stays."""
    file = st.session_state[source]
    st.session_state.pop("image_error", None)
    if file is None:
        return
    try:
        st.session_state["own_picture"] = load_image(file.getvalue())
        st.session_state["image"] = OWN
    except InputError as error:
        st.session_state["image_error"] = error


def _sizes(picture: Picture) -> dict[str, int]:
    return {"source_width": picture.source_size[0], "source_height": picture.source_size[1],
            "width": picture.width, "height": picture.height}


def _uploader_css() -> str:
    """Streamlit's uploader speaks English only: its words give way to ours."""
    zone = ".st-key-upload [data-testid=stFileUploaderDropzone]"
    return f"""{zone} button p {{ font-size: 0; }}
{zone} button p::after {{ content: "{t("app.upload")}"; font-size: 0.9rem; }}
{zone} [data-testid=stFileUploaderDropzoneInstructions] {{ display: none; }}"""


def _thumbs() -> list[Thumb]:
    """The bundled photographs, and the visitor's own picture when there is one."""
    thumbs = [Thumb(id=name, name=t(f"images.name.{name}"), src=src) for name, src in _bundled_thumbs().items()]
    if own := st.session_state.get("own_picture"):
        src = cache.computed(("thumb", own.digest), lambda: _thumb(own))
        thumbs.append(Thumb(id=OWN, name=t("images.name.own"), src=src))
    return thumbs


@functools.cache
def _bundled_thumbs() -> dict[str, str]:
    return {name: _thumb(load_image(path)) for name, path in bundled().items()}


def _thumb(picture: Picture) -> str:
    """A small square JPEG as a data address."""
    return "data:image/jpeg;base64," + b64encode(jpeg(fit(picture, 96, 96), max_bytes=4000)).decode()
