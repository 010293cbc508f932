"""Copies of what only the market has: its database, its buyers' files, and by choice its keys. Never the mirror.

The database is copied first and as of one instant, files after it: a file is written before any row names it, so every
row of the copy finds its file in the copy. A backup is whole once its `backup.json` is there.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any, Final

from sqlalchemy import inspect
from sqlalchemy.engine import URL, make_url

from backend.db import Database
from backend.files.store import FileStore
from backend.settings import MarketSettings
from protocol.clock import now_time
from protocol.errors import GridleaseError
from protocol.hashing import cid_of

_NOTE: Final = "backup.json"
_FORMAT: Final = 1
_SQLITE: Final = "market.db"
_POSTGRESQL: Final = "market.dump"
_FILES: Final = "files"
_KEYS: Final = "keys"
_PAGES: Final = 1024
"""Of SQLite, copied before writers get their turn."""


class BackupRefused(GridleaseError):
    """A backup or a restore that would overwrite something, or could not be whole."""

    code = "backup_refused"

    def __init__(self, fact: str, remedy: str) -> None:
        self.remedy = remedy
        super().__init__(f"{fact}; {remedy}")


class ToolFailed(GridleaseError):
    """PostgreSQL's own programs did not do it."""

    code = "tool_failed"

    def __init__(self, program: str, said: str) -> None:
        self.remedy = "mend what it says and start again; nothing was changed in the running market"
        super().__init__(f"{program}: {said.strip()[-500:]}; {self.remedy}")


def back_up(settings: MarketSettings, folder: Path, *, files: bool, secrets: bool) -> dict[str, Any]:
    """Copies into an empty folder while the market runs; raises `BackupRefused`, `ToolFailed`."""
    _require_empty(folder, "choose another folder")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    url = make_url(settings.market_url)
    _copy_sqlite(url, folder / _SQLITE) if url.get_backend_name() == "sqlite" else _dump(url, folder / _POSTGRESQL)
    count = _copy_files(settings.files_dir, folder / _FILES) if files else 0
    keys = _copy_keys(settings, folder / _KEYS) if secrets else []
    note = {
        "format": _FORMAT,
        "made_time": now_time(),
        "database": url.get_backend_name(),
        "files": count if files else None,
        "keys": keys,
    }
    draft = folder / f".{_NOTE}"
    draft.write_text(json.dumps(note, indent=2) + "\n")
    os.replace(draft, folder / _NOTE)
    return note


def restore(settings: MarketSettings, folder: Path) -> dict[str, Any]:
    """Puts a backup where the settings say, and brings its schema up to date. Raises as `back_up` does."""
    note = _read_note(folder)
    url = make_url(settings.market_url)
    if url.get_backend_name() != note["database"]:
        raise BackupRefused(
            f"the backup is of {note['database']}, GRIDLEASE_MARKET_URL names {url.get_backend_name()}",
            "restore into the kind of database that it came from",
        )
    _require_no_tables(settings)
    if note["files"] is not None:
        _require_empty(settings.files_dir, "move what is there away")
    for name, target in _key_files(settings).items():
        if name in note["keys"] and target.exists():
            raise BackupRefused(f"{target} exists", "move it away: a key that is overwritten is lost")
    if url.get_backend_name() == "sqlite":
        _copy_sqlite(url.set(database=str(folder / _SQLITE)), Path(url.database or ""))
    else:
        _load(url, folder / _POSTGRESQL)
    if note["files"] is not None:
        _copy_files(folder / _FILES, settings.files_dir)
    for name, target in _key_files(settings).items():
        if name in note["keys"]:
            _copy_secret(folder / _KEYS / name, target)
    db = Database(settings.market_url)
    db.migrate()
    db.close()
    return note


def _read_note(folder: Path) -> dict[str, Any]:
    try:
        note: dict[str, Any] = json.loads((folder / _NOTE).read_text())
    except (OSError, ValueError) as error:
        raise BackupRefused(f"{folder} holds no whole backup", "name the folder that `backup` wrote to") from error
    if note.get("format") != _FORMAT:
        raise BackupRefused(f"{folder} is of format {note.get('format')}", f"this version reads format {_FORMAT}")
    return note


def _require_empty(folder: Path, remedy: str) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise BackupRefused(f"{folder} is not empty", remedy)


def _require_no_tables(settings: MarketSettings) -> None:
    url = make_url(settings.market_url)
    if url.get_backend_name() == "sqlite":
        if Path(url.database or "").exists():
            raise BackupRefused(f"{url.database} exists", "move it away, or set GRIDLEASE_MARKET_URL")
        return
    db = Database(settings.market_url)
    try:
        tables = inspect(db.engine).get_table_names()
    finally:
        db.close()
    if tables:
        raise BackupRefused(f"the database has {len(tables)} tables", "restore into an empty one (CREATE DATABASE)")


def _copy_sqlite(url: URL, target: Path) -> None:
    """By SQLite's online backup: one instant's rows, and writers wait for no more than a few pages."""
    source_path = Path(url.database or "")
    if not source_path.exists():
        raise BackupRefused(f"{source_path} does not exist", "check GRIDLEASE_MARKET_URL")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.draft")
    draft.unlink(missing_ok=True)
    source, copy = sqlite3.connect(f"file:{source_path}?mode=ro", uri=True), sqlite3.connect(draft)
    try:
        # A reader's snapshot: without it a busy market would make the copy begin anew at every write.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        source.backup(copy, pages=_PAGES)
        copy.execute("PRAGMA journal_mode=DELETE")
        found = copy.execute("PRAGMA integrity_check").fetchone()[0]
    finally:
        copy.close()
        source.close()
    if found != "ok":
        raise BackupRefused(f"SQLite says of the copy: {found}", "check the disk; the original may be damaged too")
    os.replace(draft, target)


def _dump(url: URL, target: Path) -> None:
    _run("pg_dump", ["--format=custom", "--no-owner", "--no-privileges", f"--file={target}"], url)


def _load(url: URL, source: Path) -> None:
    _run("pg_restore", ["--exit-on-error", "--single-transaction", "--no-owner", str(source)], url)


def _run(program: str, arguments: list[str], url: URL) -> None:
    """The password goes by the environment: a command line is everybody's to read."""
    path = shutil.which(program)
    if path is None:
        raise BackupRefused(
            f"{program} is not installed", "install PostgreSQL's client programs of the server's version"
        )
    bare = URL.create(
        "postgresql", username=url.username, host=url.host, port=url.port, database=url.database
    ).render_as_string()
    environment = os.environ | ({"PGPASSWORD": str(url.password)} if url.password else {})
    done = subprocess.run(
        [path, *arguments, f"--dbname={bare}"], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ToolFailed(program, done.stderr)


def _copy_files(source: Path, target: Path) -> int:
    """Whole files only: drafts begin with a dot. Each copy must hash to its name; returns how many there are."""
    count = 0
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.glob("??/*")) if source.exists() else ():
        if path.name.startswith("."):
            continue
        copy = target / path.parent.name / path.name
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, copy)
        _require_whole(copy)
        count += 1
    return count


def _require_whole(path: Path) -> None:
    store = FileStore(path.parent.parent, 0)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    if store.path(cid_of(digest)) != path:
        raise BackupRefused(
            f"{path} does not hash to its name", "the original is damaged: remove it, or repair the disk"
        )


def _key_files(settings: MarketSettings) -> dict[str, Path]:
    """Every setting that names a file with a key, by the setting's name."""
    named = {name: getattr(settings, name) for name in type(settings).model_fields if name in _KEY_SETTINGS}
    return {name: path for name, path in named.items() if path is not None}


_KEY_SETTINGS: Final = frozenset({"seed_file", "submission_key_file", "settlement_key_file"})


def _copy_keys(settings: MarketSettings, folder: Path) -> list[str]:
    folder.mkdir(mode=0o700)
    copied = []
    for name, path in _key_files(settings).items():
        if path.exists():
            _copy_secret(path, folder / name)
            copied.append(name)
    return copied


def _copy_secret(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(source.read_bytes())
