"""Field types of the HTTP models: what JavaScript, people and databases can all hold without loss."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from protocol.errors import ProtocolError
from protocol.hashing import checksum_address, from_hex, sha256_of_cid


def _number(value: Any) -> Any:
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit()) or len(value) > 78:
            raise ValueError("expected decimal digits")
        return int(value)
    if isinstance(value, bool):
        raise ValueError("expected decimal digits")
    return value


def _address(value: str) -> str:
    try:
        return checksum_address(value)
    except ProtocolError as error:
        raise ValueError(str(error)) from error


def _hash32(value: str) -> str:
    try:
        return "0x" + from_hex(value, 32).hex()
    except ProtocolError as error:
        raise ValueError(str(error)) from error


def _signature(value: str) -> str:
    try:
        return "0x" + from_hex(value, 65).hex()
    except ProtocolError as error:
        raise ValueError(str(error)) from error


def _cid(value: str) -> str:
    try:
        sha256_of_cid(value)
    except ProtocolError as error:
        raise ValueError(str(error)) from error
    return value


Words = Annotated[str, AfterValidator(lambda text: text.replace("\0", "\ufffd"))]
"""Free text of others. A NUL in it is shown as what it is: PostgreSQL takes none, and nothing is refused for one."""

Base = Annotated[int, BeforeValidator(_number), PlainSerializer(str, return_type=str, when_used="json")]
"""Base units (10⁻⁶ dollar) as a decimal string."""

Big = Base
"""Any integer that may exceed 2^53, such as work, as a decimal string."""

Hash32 = Annotated[str, AfterValidator(_hash32)]
"""32 bytes as 0x hex."""

Account = Annotated[str, AfterValidator(_address)]
"""Address with EIP-55 checksum."""

SignatureHex = Annotated[str, AfterValidator(_signature)]
"""65 bytes as 0x hex."""

Cid = Annotated[str, AfterValidator(_cid)]
"""CIDv1, base32, raw, sha2-256."""


class Wire(BaseModel):
    """Base of all HTTP models: unknown fields are refused, so that a typo is an error and not a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)
