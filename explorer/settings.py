"""Settings of the explorer, from GRIDLEASE_* variables."""

from pydantic import Field, SecretStr

from protocol.settings import RoomSettings


class ExplorerSettings(RoomSettings):
    """Of the read API and the pages."""

    #: signs page tokens and entity tags; unset, a random one is kept in a file beside a SQLite mirror. Several servers
    #: behind one name need the same
    page_key: SecretStr | None = None
    #: seconds that `?min_block=` waits at most before it answers 425
    read_wait_seconds: float = Field(default=5, ge=0, le=60)
    #: open streams of `/v1/ledger/stream`; one more is refused with 503
    streams: int = Field(default=64, ge=1)
    #: CSV and NDJSON downloads at a time; each holds a snapshot, and with it the database's write-ahead log
    exports: int = Field(default=8, ge=1)
    #: questions of `/api` that are answered at a time, from the mirror and from the node each; others wait their turn
    etherscan_calls: int = Field(default=8, ge=1)
    #: seconds between two looks for new events while streams are open
    stream_poll_seconds: float = Field(default=0.1, gt=0)
    #: silence after which a stream says that it is alive
    heartbeat_seconds: float = Field(default=15, gt=0)
    #: a client that takes nothing for so long is dropped
    stall_seconds: float = Field(default=20, gt=0)
    #: memory for rendered answers that may be asked for again
    answers_bytes: int = Field(default=16 << 20, ge=0)
