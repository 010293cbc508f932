"""The buyer's own key, for the few commands that need it. Opened, used, forgotten."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from client.cli.console import refuse_usage
from client.settings import WalletFile
from protocol.keys import KeystoreError, LocalKey, load_keystore, load_raw_key


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletOptions:
    """Where the wallet's key is, as it was typed; each field is an option of every command that needs it."""

    keystore: Annotated[
        Path | None,
        typer.Option(
            "--keystore",
            envvar="GRIDLEASE_KEYSTORE",
            help="Keystore v3 file of your wallet (geth's, Foundry's or ours).",
        ),
    ] = None
    password_file: Annotated[
        Path | None,
        typer.Option(
            "--password-file",
            envvar="GRIDLEASE_PASSWORD_FILE",
            help="File with the keystore's password. Default: ask for it.",
        ),
    ] = None
    private_key_file: Annotated[
        Path | None,
        typer.Option(
            "--private-key-file",
            envvar="GRIDLEASE_PRIVATE_KEY_FILE",
            help="File with the private key as 0x and 64 hex digits, instead of a keystore. For dev chains.",
        ),
    ] = None

    def is_given(self) -> bool:
        return self.keystore is not None or self.private_key_file is not None

    def file(self, remembered: WalletFile) -> WalletFile:
        """The options, else what `login` remembered; exit code 2 with neither or both."""
        if self.keystore is not None and self.private_key_file is not None:
            refuse_usage("give --keystore or --private-key-file, not both")
        if self.is_given():
            keystore, private_key_file, password_file = self.keystore, self.private_key_file, self.password_file
        else:
            keystore, private_key_file = remembered.keystore, remembered.private_key_file
            password_file = self.password_file or remembered.password_file
        if keystore is None and private_key_file is None:
            refuse_usage("this needs your wallet: add --keystore FILE (or --private-key-file FILE on a dev chain)")
        return WalletFile(
            keystore=_absolute(keystore),
            password_file=_absolute(password_file),
            private_key_file=_absolute(private_key_file),
        )


def open_wallet(file: WalletFile) -> LocalKey:
    """Reads the key; asks for the password if no file holds it. Raises `KeystoreError`."""
    if file.private_key_file is not None:
        return load_raw_key(file.private_key_file)
    if file.keystore is None:
        refuse_usage("this needs your wallet: add --keystore FILE")
    if not file.keystore.is_file():
        raise KeystoreError(f"no keystore at {file.keystore}")
    if file.password_file is None:
        password = str(typer.prompt(f"Password of {file.keystore.name}", hide_input=True, err=True))
    else:
        password = _text(file.password_file).rstrip("\r\n")
    return load_keystore(file.keystore, password)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise KeystoreError(f"{path} cannot be read: {error}") from None


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.expanduser().absolute()
