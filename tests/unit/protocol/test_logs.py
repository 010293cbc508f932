"""One event is one line, with the request's id, and without what nobody may read."""

import json
import logging

import pytest
import structlog
from structlog.contextvars import bound_contextvars

from protocol.logs import LogSettings, configure_logs, redacted

SECRETS = (
    "postgresql+psycopg://market:hidden@db/market",
    "redis://:hidden@redis:6379/0",
    "Authorization: Bearer hidden",
    "the key glk_test_hiddenhiddenhidden was refused",
    "the token gls_hiddenhiddenhidden was refused",
)


@pytest.mark.parametrize("text", SECRETS)
def test_what_looks_like_a_secret_is_not_written(text: str) -> None:
    assert "hidden" not in redacted(text)


def test_what_is_no_secret_is_left() -> None:
    for text in ("http://127.0.0.1:8545/", "lease 0x12 of job_01", "a@b.example"):
        assert redacted(text) == text


def test_ours_and_the_libraries_lines_are_json_with_the_request(capsys: pytest.CaptureFixture[str]) -> None:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        configure_logs(LogSettings(log_format="json"))
        with bound_contextvars(request_id="req_1"):
            structlog.get_logger().info("lease.opened", password="hidden", url=SECRETS[0])
            logging.getLogger("sqlalchemy").warning("cannot reach %s", SECRETS[0])
            try:
                raise RuntimeError(SECRETS[1])
            except RuntimeError:
                logging.getLogger("kombu").exception("lost")
    finally:
        logging.getLogger().handlers[:] = handlers
        logging.getLogger().setLevel(level)
        structlog.reset_defaults()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert lines[0]["event"] == "lease.opened"
    assert all(line["request_id"] == "req_1" for line in lines)
    assert "hidden" not in json.dumps(lines)
    assert "RuntimeError" in lines[2]["exception"]
