"""A folder as the broker, safe to read while it is written.

kombu's own channel opens a message's file under its final name and then writes it: a worker that polls in between takes
an empty file, and dies of it. Here a message gets its name when it is whole; what is no message is set aside; and a
folder that somebody emptied or removed is made anew.
"""

import os
from contextlib import suppress
from pathlib import Path
from queue import Empty
from time import monotonic_ns
from typing import Any, Final
from uuid import uuid4

import structlog
from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps

log = structlog.get_logger()

SCHEME: Final = "gridlease-folder"


class FolderChannel(filesystem.Channel):
    """kombu's, but for how a message arrives."""

    # The stubs of kombu's two channels below this one disagree about the name.
    def _put(self, queue: str, payload: dict[str, Any], **_: Any) -> None:  # type: ignore[override]
        folder, name = Path(self.data_folder_out), uuid4()
        draft = folder / f".{name}.draft"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            draft.write_text(dumps(payload))
            # Readers take the files in the order of their names.
            os.replace(draft, folder / f"{monotonic_ns() // 1_000_000}_{name}.{queue}.msg")
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            raise ChannelError(f"no message can be written to {folder}: {error.strerror}") from error

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        """The oldest message; raises `Empty`. What is not JSON is gone once it was looked at."""
        while True:
            try:
                message: dict[str, Any] = super()._get(queue)
            except (FileNotFoundError, NotADirectoryError):
                raise Empty from None
            except ValueError as error:
                log.warning("broker.garbage", queue=queue, error=str(error)[:200])
                continue
            return message

    def _size(self, queue: str) -> int:
        return super()._size(queue) if Path(self.data_folder_in).is_dir() else 0

    def _purge(self, queue: str) -> int:
        return super()._purge(queue) if Path(self.data_folder_in).is_dir() else 0


class FolderTransport(filesystem.Transport):
    """kombu's, with that channel."""

    Channel = FolderChannel


TRANSPORT_ALIASES[SCHEME] = f"{__name__}:FolderTransport"
