"""Backups overwrite nothing, and say what they could not do."""

import json
import sqlite3
from pathlib import Path

import pytest

from backend.db import Database
from backend.files.store import FileStore
from backend.operations.backup import BackupRefused, back_up, restore
from backend.settings import MarketSettings


@pytest.fixture
def settings(tmp_path: Path) -> MarketSettings:
    """A market with a database, a file and two keys."""
    found = MarketSettings(
        market_url=f"sqlite:///{tmp_path}/market.db",
        files_dir=tmp_path / "files",
        seed_file=tmp_path / "seed",
        submission_key_file=tmp_path / "key",
    )
    db = Database(found.market_url)
    db.migrate()
    db.close()
    FileStore(found.files_dir, 10**6).put(b"a file")
    (tmp_path / "files" / ".draft-x").write_bytes(b"half")
    found.seed_file.write_text("0x" + "11" * 32)
    found.submission_key_file.write_text("0x" + "22" * 32)
    return found


def _elsewhere(folder: Path) -> MarketSettings:
    return MarketSettings(
        market_url=f"sqlite:///{folder}/market.db",
        files_dir=folder / "files",
        seed_file=folder / "seed",
        submission_key_file=folder / "key",
    )


def test_keys_are_copied_only_by_choice_and_for_nobody_else_to_read(settings: MarketSettings, tmp_path: Path) -> None:
    back_up(settings, tmp_path / "bare", files=True, secrets=False)
    assert not (tmp_path / "bare" / "keys").exists()
    note = back_up(settings, tmp_path / "full", files=True, secrets=True)
    assert note["keys"] == ["seed_file", "submission_key_file"]
    assert (tmp_path / "full" / "keys" / "seed_file").stat().st_mode & 0o077 == 0
    restore(_elsewhere(tmp_path / "new"), tmp_path / "full")
    assert (tmp_path / "new" / "key").read_text() == settings.submission_key_file.read_text()
    assert (tmp_path / "new" / "key").stat().st_mode & 0o077 == 0


def test_nothing_that_is_there_is_overwritten(settings: MarketSettings, tmp_path: Path) -> None:
    back_up(settings, tmp_path / "copy", files=True, secrets=True)
    with pytest.raises(BackupRefused, match="not empty"):
        back_up(settings, tmp_path / "copy", files=True, secrets=False)
    with pytest.raises(BackupRefused, match=r"market\.db exists"):
        restore(settings, tmp_path / "copy")
    for name in ("files", "key"):
        new = tmp_path / f"new {name}"
        target = new / "files" / "aa" if name == "files" else new / "key"
        target.parent.mkdir(parents=True)
        target.write_text("mine")
        with pytest.raises(BackupRefused):
            restore(_elsewhere(new), tmp_path / "copy")
        assert target.read_text() == "mine"
        assert not (new / "market.db").exists(), "nothing was begun"


def test_half_a_backup_and_a_foreign_one_are_refused(settings: MarketSettings, tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    with pytest.raises(BackupRefused, match="no whole backup"):
        restore(_elsewhere(tmp_path / "new"), tmp_path / "half")
    back_up(settings, tmp_path / "copy", files=False, secrets=False)
    note = json.loads((tmp_path / "copy" / "backup.json").read_text())
    assert note["files"] is None
    (tmp_path / "copy" / "backup.json").write_text(json.dumps(note | {"format": 9}))
    with pytest.raises(BackupRefused, match="format 9"):
        restore(_elsewhere(tmp_path / "new"), tmp_path / "copy")
    (tmp_path / "copy" / "backup.json").write_text(json.dumps(note | {"database": "postgresql"}))
    with pytest.raises(BackupRefused, match="postgresql"):
        restore(_elsewhere(tmp_path / "new"), tmp_path / "copy")


def test_a_damaged_file_is_named_not_copied_in_silence(settings: MarketSettings, tmp_path: Path) -> None:
    (path,) = (settings.files_dir).glob("??/*")
    path.write_bytes(b"another")
    with pytest.raises(BackupRefused, match="does not hash to its name"):
        back_up(settings, tmp_path / "copy", files=True, secrets=False)
    assert not (tmp_path / "copy" / "backup.json").exists()


def test_a_copy_is_of_one_instant(settings: MarketSettings, tmp_path: Path) -> None:
    writer = sqlite3.connect(tmp_path / "market.db")
    writer.execute("INSERT INTO sign_in_nonces VALUES ('open', 1)")
    back_up(settings, tmp_path / "copy", files=False, secrets=False)
    writer.commit()
    writer.close()
    copy = sqlite3.connect(tmp_path / "copy" / "market.db")
    assert copy.execute("SELECT count(*) FROM sign_in_nonces").fetchone() == (0,)
    copy.close()


def test_without_pg_dump_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = MarketSettings(market_url="postgresql+psycopg://market:hidden@127.0.0.1/market")
    with pytest.raises(BackupRefused, match="install PostgreSQL's client programs") as refused:
        back_up(settings, tmp_path / "copy", files=False, secrets=False)
    assert "hidden" not in str(refused.value)
