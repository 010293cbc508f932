"""Rule X1: nothing from outside becomes markup, and every page says so to the browser."""

from urllib.parse import quote

import pytest

from explorer.rendering import environment
from explorer.spelling import visible
from tests.support.fake_mirror import FakeMirror
from tests.unit.explorer.conftest import Reader

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


@pytest.mark.parametrize("path", ["/", "/nowhere", "/leases", "/lease/0x00", "/search?q=hello", "/static/site.js"])
def test_every_answer_to_a_browser_carries_the_safety_headers(reader: Reader, path: str) -> None:
    headers = reader.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self'; ")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    "path",
    [
        "/search?q={}",
        "/lease/{}",
        "/tx/{}",
        "/job/{}",
        "/address/{}",
        "/block/{}",
        "/leases?state={}",
        "/leases?page_token={}",
        "/nowhere/{}",
        "/lease/0x00/proof.json?log={}",
    ],
)
def test_hostile_text_is_shown_and_never_becomes_markup(reader: Reader, path: str) -> None:
    response = reader.get(path.format(quote(HOSTILE, safe="")))
    assert response.status_code == 404
    assert "<script>alert" not in response.text
    assert "<img" not in response.text


def test_a_hostile_reason_of_a_halt_is_escaped(reader: Reader, mirror: FakeMirror) -> None:
    mirror.halted = HOSTILE
    text = reader.get("/").text
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text


def test_no_template_marks_text_as_safe() -> None:
    env = environment()
    assert env.autoescape is True
    for name in env.list_templates():
        source = env.loader.get_source(env, name)[0] if env.loader else ""
        assert "|safe" not in source.replace(" ", ""), name
        assert "autoescape" not in source, name


def test_text_that_turns_around_or_hides_is_shown_as_escapes() -> None:
    assert visible("0x12\u202e34\u200b\n") == "0x12\\u202e34\\u200b\\n"
    assert len(visible("a" * 500)) == 80


def test_static_files_may_be_kept_because_their_address_names_their_content(reader: Reader) -> None:
    assert "immutable" in reader.get("/static/site.css").headers["cache-control"]
    assert "/static/site.css?v=" in reader.get("/").text
    assert "http" not in reader.get("/static/site.css").text
