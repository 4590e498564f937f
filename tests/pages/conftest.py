"""The app as Streamlit's own tester runs it, on the weights that ship."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import save_file
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from tests.models.references import randomise
from tfsss import weights
from tfsss.models.bert import VARIANTS, Bert
from tfsss.weights import Loaded
from tfsss.weights.registry import MINILM

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture
def open_app(monkeypatch, tmp_path) -> Callable[..., AppTest]:
    """`open_app("patches", lang="zh", patches_size="8")`: a page, with its address; nothing has been fetched."""
    monkeypatch.setenv("TFSSS_HOME", str(tmp_path))
    original = PagesManager.__init__

    def as_the_server_does(self, *args, **options):
        """A folder called pages/ is no list of pages once st.navigation has run; the tester forgets that each time."""
        original(self, *args, **options)
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", as_the_server_does)

    def run(page: str = "home", **address: str) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=60)
        if page != "home":
            app.switch_page(f"pages/{page}.py")
        for name, value in address.items():
            app.query_params[name] = value
        return app.run()

    return run


@pytest.fixture
def fetched(open_app, monkeypatch) -> Loaded:
    """As once MiniLM has been fetched, with a small Bert in its place."""
    config = dataclasses.replace(VARIANTS["mini"], vocab_size=30_522, max_length=512, language_head=False)
    monkeypatch.setitem(weights.REGISTRY, MINILM.id, dataclasses.replace(MINILM, config=config))
    MINILM.path.parent.mkdir(parents=True)
    save_file(randomise(Bert(config)).state_dict(), MINILM.path)
    return weights.load(MINILM.id)


def sound(app: AppTest) -> None:
    """Fails on a traceback, and on the apology that stands for one."""
    assert not app.exception, app.exception
    assert not app.error, [error.value for error in app.error]


@pytest.fixture(name="sound")
def sound_fixture() -> Callable[[AppTest], None]:
    return sound
