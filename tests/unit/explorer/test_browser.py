"""The pages in a real browser: the policy blocks nothing of ours, and the three conveniences work."""

import asyncio
import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Page, sync_playwright

from explorer.app import mount
from protocol.events import VoucherRedeemed
from protocol.hashing import to_hex
from tests.support.fake_mirror import BUYER, PROVIDER, RUNNING, SECOND, FakeMirror, some_hash

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"), reason="needs Debian's chromium: make setup-system"
    ),
]


@pytest.fixture
def url(mirror: FakeMirror) -> Iterator[str]:
    """A server on a port of its own."""
    app = FastAPI()
    mount(app, mirror)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listener.close()


@pytest.fixture
def tab() -> Iterator[Page]:
    """A page that fails the test on any console error, which is how a browser reports a policy that blocks."""
    complaints: list[Any] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        browser.close()
    assert complaints == []


def test_the_pages_work_under_their_own_policy(tab: Page, url: str) -> None:
    for path in ("/", f"/lease/{to_hex(SECOND)}", f"/address/{BUYER}", "/blocks"):
        tab.goto(url + path)
        assert tab.evaluate("getComputedStyle(document.querySelector('.top')).borderBottomStyle") == "solid"
        width = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width == 0, path


def test_a_phone_needs_no_sideways_scrolling(tab: Page, url: str) -> None:
    tab.set_viewport_size({"width": 360, "height": 740})
    for path in ("/", f"/lease/{to_hex(SECOND)}", f"/address/{BUYER}", "/leases", "/providers", "/blocks", "/block/35"):
        tab.goto(url + path)
        width = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width == 0, path


def test_slash_focuses_the_search_box_and_enter_finds_the_lease(tab: Page, url: str) -> None:
    tab.goto(url)
    tab.keyboard.press("/")
    tab.keyboard.type(to_hex(SECOND))
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"**/lease/{to_hex(SECOND)}")


def test_a_copy_button_puts_the_whole_hash_on_the_clipboard(tab: Page, url: str) -> None:
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.goto(f"{url}/lease/{to_hex(SECOND)}")
    tab.get_by_label("Copy the lease id").click()
    assert tab.evaluate("navigator.clipboard.readText()") == to_hex(SECOND)


def test_a_new_payment_appears_without_a_reload(tab: Page, url: str, mirror: FakeMirror) -> None:
    tab.goto(url)
    assert "$0.654321" not in tab.content()
    mirror.head_block += 1
    mirror.emit(mirror.head_block, VoucherRedeemed(RUNNING, PROVIDER, 654_321, 814_321, some_hash("new"), False))
    tab.locator("#latest-payments", has_text="$0.654321").wait_for(timeout=10_000)


def test_reading_needs_no_script(url: str) -> None:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(java_script_enabled=False).new_page()
        page.goto(f"{url}/lease/{to_hex(SECOND)}")
        for words in ("$0.872873", "Result accepted", "Check it yourself", "undone by a reorg"):
            assert page.get_by_text(words).first.is_visible()
        assert page.locator("button.copy:visible").count() == 0
        browser.close()


def test_the_browser_checks_a_payment_by_itself(tab: Page, url: str, mirror: FakeMirror) -> None:
    payment = mirror.payments(lease=SECOND, limit=1)[0]
    tab.goto(f"{url}/lease/{to_hex(SECOND)}")
    tab.get_by_role("link", name="Check here").click()
    tab.locator("#verdict.good", has_text="Proved").wait_for(timeout=10_000)
    assert str(payment.amount_base) in tab.locator("#verdict").inner_text()
    width = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width == 0
    tab.get_by_label("Block hash").fill("0x" + "11" * 32)
    tab.get_by_role("button", name="Check in this browser").click()
    tab.locator("#verdict.bad", has_text="proof fails at anchor").wait_for(timeout=10_000)
    tab.get_by_label("Block hash").fill("")
    tab.get_by_role("button", name="Check in this browser").click()
    tab.locator("#verdict.wait", has_text="if the chain has").wait_for(timeout=10_000)


def test_the_browser_checks_a_file_of_the_readers(tab: Page, url: str) -> None:
    vectors = Path(__file__).parents[2] / "vectors"
    expected = json.loads((vectors / "proofs.expected.json").read_text())["proof-history-million.json"]
    tab.goto(f"{url}/check")
    tab.get_by_label("Proof file").set_input_files(vectors / "proof-history-million.json")
    tab.get_by_label("Block hash").fill(expected["anchors"][0])
    tab.get_by_label("Ledger", exact=True).fill(expected["ledger"])
    tab.get_by_role("button", name="Check in this browser").click()
    tab.locator("#verdict.good", has_text='"count": 1000000').wait_for(timeout=10_000)


def test_the_browser_replays_a_list_of_events(tab: Page, url: str) -> None:
    vectors = Path(__file__).parents[2] / "vectors"
    expected = json.loads((vectors / "proofs.expected.json").read_text())["proof-history.json"]
    tab.goto(f"{url}/check")
    tab.get_by_label("Proof file").set_input_files(vectors / "proof-history.json")
    tab.get_by_label("Block hash").fill(expected["anchors"][0])
    tab.get_by_label("Ledger", exact=True).fill(expected["ledger"])
    tab.get_by_label("Events").set_input_files(vectors / "proof-history.ndjson")
    tab.get_by_role("button", name="Check in this browser").click()
    tab.locator("#verdict.good", has_text="the 11 events of the list are all of it").wait_for(timeout=10_000)
    tab.get_by_label("Events").set_input_files(vectors / "proof-range.ndjson")
    tab.get_by_role("button", name="Check in this browser").click()
    tab.locator("#verdict.bad", has_text="proof fails at events").wait_for(timeout=10_000)
