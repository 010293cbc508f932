"""The folder broker: whoever looks sees whole messages or none."""

import json
import os
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection
from kombu.exceptions import ChannelError

from backend import broker
from backend.worker import broker_options


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    # kombu remembers for the whole process which queues are bound; another folder knows none of them.
    broker.FolderTransport.global_state.clear()
    return tmp_path / "broker"


def _connection(folder: Path) -> Connection:
    options: dict[str, Any] = broker_options(f"filesystem://{folder}")
    return Connection(options["broker_url"], transport_options=options["broker_transport_options"])


def test_messages_come_out_once_and_leave_nothing_behind(folder: Path) -> None:
    with _connection(folder) as connection, connection.SimpleQueue("celery") as queue:
        queue.put({"n": 1})
        queue.put({"n": 2})
        assert {queue.get(timeout=5).payload["n"] for _ in range(2)} == {1, 2}
        assert list((folder / "queue").iterdir()) == []


def test_a_message_has_no_name_before_it_is_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    replace = os.replace

    def look_then_replace(draft: Path, target: Path) -> None:
        seen.append((list(target.parent.glob("*.msg")), json.loads(draft.read_text())))
        replace(draft, target)

    monkeypatch.setattr("backend.broker.os.replace", look_then_replace)
    with _connection(folder) as connection, connection.SimpleQueue("celery") as queue:
        queue.put({"n": 1})
    ((visible, message),) = seen
    assert visible == []
    assert message["body"]
    assert len(list((folder / "queue").glob("*.celery.msg"))) == 1


def test_a_folder_that_was_removed_is_made_anew(folder: Path) -> None:
    with _connection(folder) as connection, connection.SimpleQueue("celery") as queue:
        (folder / "queue").rmdir()
        with pytest.raises(Empty):
            queue.get(block=False)
        queue.put({"n": 1})
        assert queue.get(timeout=5).payload == {"n": 1}


def test_a_folder_that_cannot_be_made_is_said(folder: Path) -> None:
    with _connection(folder) as connection, connection.SimpleQueue("celery") as queue:
        (folder / "queue").rmdir()
        (folder / "queue").write_text("a file")
        with pytest.raises(ChannelError, match="no message can be written"):
            queue.put({"n": 1})


@pytest.mark.parametrize("content", ["", "{", "no message"])
def test_what_is_no_message_is_set_aside(folder: Path, content: str) -> None:
    with _connection(folder) as connection, connection.SimpleQueue("celery") as queue:
        (folder / "queue" / "0_first.celery.msg").write_text(content)
        queue.put({"n": 1})
        assert queue.get(timeout=5).payload == {"n": 1}
