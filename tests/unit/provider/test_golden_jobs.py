"""The committed jobs give the same result and the same work on every machine and from every checkpoint."""

import hashlib

import pytest

from protocol.hashing import cid_of, to_hex
from provider.runtimes.model import RunSpec, Segment
from provider.runtimes.wasi_det import WasiDet
from tests.support.wasm_jobs import DIGITS, VECTORS, digits_spec, point_after, result_of, run

Run = tuple[RunSpec, list[Segment]]


@pytest.fixture(scope="module")
def trained() -> Run:
    job = digits_spec("train")
    return job, run(job)


@pytest.fixture(scope="module")
def classified(trained: Run) -> Run:
    end = trained[1][-1].end
    assert end is not None
    job = digits_spec("classify", weights_bin=end.outputs["weights.bin"])
    return job, run(job)


def _shown(job: RunSpec, segments: list[Segment]) -> dict[str, object]:
    result = result_of(job, segments)
    return {
        "job_hash": to_hex(job.manifest.job_hash()),
        "result_hash": to_hex(result.result_hash()),
        "status": result.status,
        "work": str(result.work),
        "outputs": {output.path: cid_of(output.sha256) for output in result.outputs},
        "segments": len(segments),
        "first_state_hash": to_hex(segments[0].leaf.state_hash),
        "last_state_hash": to_hex(segments[-1].leaf.state_hash),
        "log": segments[-1].log.decode(),
    }


def test_training_gives_the_golden_result_and_work(trained: Run) -> None:
    assert _shown(*trained) == VECTORS["train"]


def test_classification_gives_the_golden_result_and_work(classified: Run) -> None:
    golden = dict(VECTORS["classify"])
    golden.pop("accuracy_percent")
    assert _shown(*classified) == golden


def test_at_least_nine_of_ten_held_out_digits_are_read_right(classified: Run) -> None:
    end = classified[1][-1].end
    assert end is not None
    rows = [row.split(",") for row in end.outputs["predictions.csv"].decode().splitlines()[1:]]
    right = sum(digit == prediction for _, digit, prediction in rows)
    assert len(rows) == 360
    assert right >= 324
    assert end.outputs["accuracy.txt"].decode().strip() == VECTORS["classify"]["accuracy_percent"]


def test_the_sandbox_gives_the_same_result(trained: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    job, segments = trained
    assert run(job, runtime=WasiDet(tmp_path_factory.mktemp("modules"))) == segments


def test_every_segment_replays_alone_to_the_same_leaf(trained: Run) -> None:
    job, segments = trained
    runtime = WasiDet(sandboxed=False)
    replayed = [runtime.replay(job, None)] + [runtime.replay(job, point_after(before)) for before in segments[:-1]]
    assert replayed == segments


@pytest.mark.parametrize("done", [1, 13, 31])
def test_a_run_resumed_from_a_checkpoint_ends_like_one_that_never_stopped(trained: Run, done: int) -> None:
    job, segments = trained
    assert run(job, point_after(segments[done - 1])) == segments[done:]


def test_the_committed_files_have_the_committed_hashes() -> None:
    lines = (DIGITS / "SHA256SUMS").read_text().splitlines()
    for line in lines:
        expected, name = line.split("  ")
        assert hashlib.sha256((DIGITS / name).read_bytes()).hexdigest() == expected
    assert len(lines) == 3


def test_the_modules_are_small() -> None:
    assert all((DIGITS / name).stat().st_size <= 40 * 1024 for name in ("train.wasm", "classify.wasm"))
