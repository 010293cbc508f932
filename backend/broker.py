"""A folder as the broker, safe to read while it is written.

kombu's own channel opens a message's file under its final name and then writes it: a worker that polls in between takes
an empty file, and dies of it. Here a message gets its name when it is whole.
"""

import os
from pathlib import Path
from time import monotonic_ns
from typing import Any, Final
from uuid import uuid4

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps

SCHEME: Final = "gridlease-folder"


class FolderChannel(filesystem.Channel):
    """kombu's, but for how a message arrives."""

    # The stubs of kombu's two channels below this one disagree about the name.
    def _put(self, queue: str, payload: dict[str, Any], **_: Any) -> None:  # type: ignore[override]
        folder, name = Path(self.data_folder_out), uuid4()
        draft = folder / f".{name}.draft"
        try:
            draft.write_text(dumps(payload))
            # Readers take the files in the order of their names.
            os.replace(draft, folder / f"{monotonic_ns() // 1_000_000}_{name}.{queue}.msg")
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise ChannelError(f"no message can be written to {folder}: {error.strerror}") from error


class FolderTransport(filesystem.Transport):
    """kombu's, with that channel."""

    Channel = FolderChannel


TRANSPORT_ALIASES[SCHEME] = f"{__name__}:FolderTransport"
