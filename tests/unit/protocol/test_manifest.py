"""Manifests: one job has one hash, and what nobody could run is refused with a remedy."""

from typing import Any

import pytest

from protocol.errors import BadManifest
from protocol.hashing import cid_of, sha256, sha256_of_cid
from protocol.manifest import Manifest

CID = cid_of(sha256(b"module"))


def _fields(**changes: Any) -> dict[str, Any]:
    limits = {"memory_bytes": 1 << 24, "work": 10**9, "wall_seconds": 60, "output_bytes": 1 << 20}
    return {"version": 1, "runtime": "wasi-det/1", "module": CID, "limits": limits, **changes}


def test_the_hash_does_not_depend_on_the_order_of_keys_or_on_defaults_left_out() -> None:
    spelled = Manifest.parse(_fields(environment={"B": "2", "A": "1"}, arguments=[], segments=0))
    turned = Manifest.parse(dict(reversed(_fields(environment={"A": "1", "B": "2"}).items())))
    assert spelled.job_hash() == turned.job_hash()
    assert spelled.job_hash() != Manifest.parse(_fields(segments=1)).job_hash()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"runtime": "jvm/1"}, "runtime"),
        ({"module": "Qm123"}, "inputs"),
        ({"limits": {"memory_bytes": 1 << 40, "work": 1, "wall_seconds": 1, "output_bytes": 1}}, "limits.memory_bytes"),
        ({"limits": {"memory_bytes": 1 << 24, "work": 10**16, "wall_seconds": 1, "output_bytes": 1}}, "limits.work"),
        ({"inputs": {"../etc/passwd": CID}}, "inputs"),
        ({"inputs": {"a": "b"}}, "inputs"),
        ({"arguments": ["a\0b"]}, "arguments"),
        ({"environment": {"A": "\ud800"}}, "environment"),
        ({"segments": 10**9}, "segments"),
        ({"colour": "red"}, "colour"),
        ({"segments": "3"}, "segments"),
    ],
)
def test_a_manifest_that_nobody_could_run_names_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(BadManifest) as refusal:
        Manifest.parse(_fields(**changes))
    assert refusal.value.field.startswith(field)
    assert refusal.value.remedy


def test_a_file_has_one_spelling() -> None:
    assert sha256_of_cid(CID) == sha256(b"module")
    for twin in (CID.upper(), CID[:-1] + ("b" if CID[-1] != "b" else "c"), CID + "=", "z" + CID[1:]):
        with pytest.raises(Exception, match="CIDv1"):
            sha256_of_cid(twin)
