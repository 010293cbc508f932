"""Key files: what they hold never appears in a message."""

from pathlib import Path

import pytest

from protocol.hashing import to_hex
from protocol.keys import KeystoreError, LocalKey, load_raw_key


@pytest.mark.parametrize("form", ["{}", "0x{}", " 0x{}\n"])
def test_a_raw_key_opens_with_and_without_its_prefix(tmp_path: Path, form: str) -> None:
    key = LocalKey.create()
    path = tmp_path / "key"
    path.write_text(form.format(to_hex(key.secret()).removeprefix("0x")))
    assert load_raw_key(path).address == key.address


@pytest.mark.parametrize("text", ["", "0x" + "c0ffee" * 10, "my password c0ffee", "0x" + "00" * 32, "0x" + "ff" * 32])
def test_a_file_without_a_key_is_named_and_not_quoted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(KeystoreError, match="no private key") as caught:
        load_raw_key(path)
    assert str(path) in str(caught.value)
    assert "c0ffee" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_missing_key_file_is_a_keystore_error(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="No such file"):
        load_raw_key(tmp_path / "nope")
