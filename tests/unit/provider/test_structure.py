"""A module that breaks a rule is refused before it is compiled, and the refusal says what to change."""

import contextlib

import pytest

from provider.runtimes.execution import check
from provider.runtimes.faults import ModuleRefused
from provider.runtimes.model import RunSpec
from provider.runtimes.structure import MAX_MODULE_BYTES, read_structure
from provider.runtimes.wasi_det import WasiDet
from tests.support.wasm_jobs import COUNTER, DIGITS, digits_spec, run, spec

MEMORY = '(memory (export "memory") 1)'
STEPS = '(func (export "init")) (func (export "step") (param i32))'


def _command(body: str, memory: str = MEMORY) -> RunSpec:
    return spec(f'(module {body} {memory} (func (export "_start")))')


def _segmented(body: str) -> RunSpec:
    return spec(f"(module {MEMORY} {STEPS} {body})", segments=2)


@pytest.mark.parametrize(
    ("rule", "job"),
    [
        ("import", _command('(import "env" "system" (func))')),
        ("import", _command('(import "wasi_snapshot_preview1" "sock_send" (func))')),
        ("import", _command('(import "wasi_snapshot_preview1" "poll_oneoff" (func))')),
        ("import", _command('(import "env" "table" (table 1 funcref))')),
        ("start", spec(f'(module {MEMORY} (func $f (export "_start")) (start $f))')),
        ("memory", _command("", memory="(memory 1)")),
        ("memory", _command("", memory='(memory (export "memory") 100)')),
        ("table", _command("(table 1000000 funcref)")),
        ("exports", spec(f'(module {MEMORY} (func (export "main")))')),
        ("exports", spec(f'(module {MEMORY} (func (export "_start")))', segments=2)),
        ("state", _segmented("(global (mut i32) (i32.const 0))")),
        ("state", _segmented('(global (export "g") (mut f32) (f32.const 0))')),
        ("state", _segmented("(table 2 funcref) (func (table.set (i32.const 0) (ref.null func)))")),
        ("state", _segmented("(table 2 funcref) (func (table.copy (i32.const 0) (i32.const 1) (i32.const 1)))")),
        ("state", _segmented('(data $d "x") (func (data.drop $d))')),
    ],
)
def test_a_module_against_the_rules_is_refused(rule: str, job: RunSpec) -> None:
    with pytest.raises(ModuleRefused) as refused:
        check(job)
    assert refused.value.rule == rule
    assert refused.value.remedy


@pytest.mark.parametrize("feature", ["(func (drop (i32x4.relaxed_trunc_f32x4_s (v128.const i64x2 0 0))))"])
def test_an_instruction_of_another_runtime_is_refused(feature: str) -> None:
    with pytest.raises(ModuleRefused):
        WasiDet(sandboxed=False).start(_command(feature))
    with pytest.raises(ModuleRefused):
        check(_segmented(feature))


@pytest.mark.parametrize("name", ["init", "step"])
def test_an_export_with_other_parameters_is_refused(name: str) -> None:
    other = {"init": "step", "step": "init"}[name]
    shape = "(param i32)" if other == "step" else ""
    text = f'(module {MEMORY} (func (export "{name}") (param i64)) (func (export "{other}") {shape}))'
    with pytest.raises(ModuleRefused, match=name):
        WasiDet(sandboxed=False).start(spec(text, segments=1))


def test_bytes_that_are_no_module_are_refused() -> None:
    with pytest.raises(ModuleRefused, match="format"):
        read_structure(b"#!/bin/sh\n")
    with pytest.raises(ModuleRefused, match="size"):
        read_structure(bytes(MAX_MODULE_BYTES + 1))


def test_a_module_cut_anywhere_never_passes_for_the_whole() -> None:
    module = (DIGITS / "train.wasm").read_bytes()
    whole = read_structure(module)
    for size in range(8, len(module), 97):
        with contextlib.suppress(ModuleRefused):
            assert read_structure(module[:size]) != whole


def test_the_committed_jobs_keep_the_rules() -> None:
    assert check(digits_spec("train")).mutable_globals()[0].name == "__stack_pointer"
    assert check(spec(COUNTER, segments=4)).mutable_globals()[0].kind == "i64"


def test_tables_that_never_change_are_welcome_in_segments() -> None:
    job = spec(
        f"""(module {MEMORY} (table 1 1 funcref) (elem (i32.const 0) $f) (type $t (func))
        (func $f (i32.store (i32.const 0) (i32.const 7)))
        (func (export "init")) (func (export "step") (param i32) (call_indirect (type $t) (i32.const 0))))""",
        segments=2,
    )
    assert run(job)[-1].end is not None
