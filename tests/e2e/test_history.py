"""The browser's Back and Forward: each click is one step, and every step can be gone back."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.browser import PRESENT


def option(page, key: str, nth: int):
    return page.locator(f".st-key-{key} [role=radio]").nth(nth)


def choose(page, key: str, nth: int, address: str) -> None:
    """Until the address says so."""
    option(page, key, nth).click()
    page.wait_for_url(address, timeout=20_000)


def test_back_and_forward_go_through_the_views_and_leave_the_page(visit, wait_idle):
    opened = visit("home", "lang=en")
    opened.get_by_role("link", name="Patches").first.click()
    opened.wait_for_url("**/patches?lang=en", timeout=20_000)
    choose(opened, "patches_view", 1, "**view=filters")
    choose(opened, "patches_view", 2, "**view=costs")
    for step, nth in ((opened.go_back, 1), (opened.go_back, 0), (opened.go_forward, 1), (opened.go_back, 0)):
        step()
        expect(option(opened, "patches_view", nth)).to_be_checked(timeout=20_000)
        wait_idle(opened)
    assert "view" not in opened.url
    for _ in range(2):  # the page as its link opens it, without a language; then Home
        opened.go_back()
        wait_idle(opened)
    opened.locator(f"{PRESENT} .st-key-tiles, .st-key-tiles").first.wait_for(timeout=20_000)
    assert opened.url.endswith("/?lang=en")


def test_two_controls_that_one_click_changes_are_one_step_back(visit):
    opened = visit("attention", "lang=en")
    before = opened.evaluate("history.length")
    choose(opened, "attention_query", 2, "**query=patch**")
    assert "pin=" in opened.url and opened.evaluate("history.length") == before + 1
    opened.go_back()
    expect(option(opened, "attention_query", 0)).to_be_checked(timeout=20_000)
    expect(opened.locator(".st-key-attention_pin input")).to_have_value("", timeout=20_000)


def test_clicks_that_follow_each_other_quickly_all_count(visit):
    """The second is made before the first one's address is known: what it says then is older than the session."""
    opened = visit("swin", "lang=en&step=pad")
    option(opened, "swin_step", 2).wait_for(timeout=20_000)
    opened.locator(".st-key-swin_mask_padding input").wait_for(timeout=20_000, state="attached")
    opened.evaluate("""() => {
        document.querySelectorAll('.st-key-swin_step [role=radio]')[2].click();
        document.querySelector('.st-key-swin_mask_padding input').click();
    }""")
    opened.wait_for_url("**mask_padding=1**", timeout=20_000)
    assert "step=partition" in opened.url
    expect(option(opened, "swin_step", 2)).to_be_checked(timeout=20_000)
