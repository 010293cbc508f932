"""`gridlease demo`: the whole path once, on this machine: bought, run, paid and proved."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from client.sdk import Client, Outcome
from gridlease.house import DEPOSIT_BASE, House, dev_key
from indexer.queries import Mirror
from indexer.verify import verify_mirror
from protocol.bundle import verify_event
from protocol.errors import GridleaseError
from protocol.events import LeaseState
from protocol.hashing import from_hex, to_hex
from protocol.rpc import Rpc
from protocol.units import format_dollars
from protocol.wire.jobs import Job

JOBS: Final = Path(__file__).parent.parent / "jobs" / "digits"
_JOB_SECONDS: Final = 180
_SETTLE_SECONDS: Final = 60
_LEAST_ACCURACY: Final = 0.90


class DemoFailed(GridleaseError):
    """The demo did not show what it promises."""

    code = "demo_failed"


def run_demo(data_dir: Path, port: int) -> None:
    """Trains a digit classifier on one of two providers, reads held-out digits with it, and checks every step."""
    console = Console()
    house = House(data_dir, port=port)
    started = time.monotonic()
    try:
        with console.status("starting node, ledger, indexer, market, worker and two providers"):
            house.open()
            house.wait_for_providers()
        with house.client() as client:
            summary = _buy(house, client, console)
        summary["seconds"] = round(time.monotonic() - started, 1)
    finally:
        with console.status("stopping"):
            house.close()
    path = house.folder / "summary.json"
    path.write_text(json.dumps(summary, indent=2) + "\n")
    _print(console, summary, path)
    promised = ("head_proved", "mirror_equals_chain", "spend_equals_earnings", "all_closed", "result_checked")
    if summary["accuracy"] < _LEAST_ACCURACY or not all(summary[name] for name in promised):
        raise DemoFailed(f"a promise of the demo does not hold; see {path} and the logs in {house.folder}/logs")


def _buy(house: House, client: Client, console: Console) -> dict[str, Any]:
    results = house.folder / "results"
    trained = _run_job(client, console, "train", JOBS / "train.json", {}, results)
    weights = trained.files["weights.bin"]
    classified = _run_job(client, console, "classify", JOBS / "classify.json", {"weights.bin": weights}, results)
    jobs = [_settled(client, outcome.job) for outcome in (trained, classified)]
    return {
        "accuracy": _accuracy(classified.files["accuracy.txt"]),
        "cost": format_dollars(sum(job.cost_base + job.fee_base for job in jobs)),
        "cost_base": sum(job.cost_base for job in jobs),
        "fee_base": sum(job.fee_base for job in jobs),
        "providers": [job.leases[-1].provider for job in jobs],
        "zones": [job.leases[-1].zone for job in jobs],
        "lease_ids": [lease.lease for job in jobs for lease in job.leases],
        "tx_hashes": [tx_hash for job in jobs for lease in job.leases for tx_hash in lease.tx_hashes],
        "result_hashes": [job.result.result_hash for job in jobs if job.result],
        "work": [job.work for job in jobs],
        "result_checked": trained.trusted and classified.trusted,
        "curl": _curl(),
        **_proofs(house, jobs),
    }


def _run_job(
    client: Client, console: Console, name: str, manifest: Path, inputs: dict[str, Path], results: Path
) -> Outcome:
    folder = results / name
    folder.mkdir(parents=True, exist_ok=True)
    draft = _beside(manifest, inputs, folder)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(f"{name:9}", total=None, said="queued")

        def show(job: Job) -> None:
            zone = f"in {job.leases[-1].zone}" if job.leases else ""
            said = f"{job.segments.done}/{job.segments.total} segments, {format_dollars(job.cost_base)} {zone}"
            progress.update(bar, completed=job.segments.done, total=job.segments.total, said=f"{job.state} {said}")

        return client.run(draft, out=folder, on_progress=show, timeout_seconds=_JOB_SECONDS, max_price="0.05")


def _beside(manifest: Path, inputs: dict[str, Path], folder: Path) -> Path:
    """The manifest with local files in place of hashes, so that the client uploads them."""
    fields = json.loads(manifest.read_text())
    local = {"digits.csv": JOBS / "data" / "digits.csv", **inputs}
    fields["module"] = str(manifest.with_suffix(".wasm"))
    fields["inputs"] = {name: str(local[name]) for name in fields["inputs"]}
    path = folder / "job.json"
    path.write_text(json.dumps(fields))
    return path


def _accuracy(path: Path) -> float:
    """The share of held-out digits read right; the job itself writes percent with two decimals."""
    return round(float(path.read_text()) / 100, 4)


def _settled(client: Client, job: Job) -> Job:
    """The job once its leases are Closed in the mirror: paid, and the rest refunded."""
    latest = job

    def closed() -> bool:
        nonlocal latest
        latest = client.job(job.id)
        return latest.settlement in ("released", "refunded")

    _until(closed, _SETTLE_SECONDS, f"job {job.id} to settle")
    return latest


def _proofs(house: House, jobs: list[Job]) -> dict[str, Any]:
    """Head by storage proof, mirror against contract, money to the unit, and one payment offline."""
    mirror = Mirror(house.environment["GRIDLEASE_MIRROR_URL"])
    ids = [from_hex(lease.lease, 32) for job in jobs for lease in job.leases]
    leases = list(mirror.leases_by_id(ids).values())
    with Rpc(house.rpc_url) as rpc:
        report = verify_mirror(house.environment["GRIDLEASE_MIRROR_URL"], rpc, house.ledger)
        payment = mirror.payments(lease=ids[0])[0]
        bundle = mirror.proof(payment.tx_hash, payment.log_index)
        block = mirror.block(payment.block_number)
        verified = verify_event(bundle, [block.hash] if block else [])
    proof = house.folder / "proof.json"
    proof.write_bytes(bundle)
    return {
        "head_proved": report.head_proved,
        "mirror_equals_chain": report.holds,
        "spend_equals_earnings": _adds_up(mirror, jobs),
        "all_closed": all(lease.state is LeaseState.CLOSED for lease in leases),
        "payment_proof": {"file": str(proof), "block_hash": to_hex(verified.block_hash), "trusted": verified.trusted},
    }


def _adds_up(mirror: Mirror, jobs: list[Job]) -> bool:
    """What left the buyer's account is what providers earned and the matcher's fees, to the unit."""
    cost, fees = sum(job.cost_base for job in jobs), sum(job.fee_base for job in jobs)
    buyer, matcher = mirror.account(dev_key(2).address), mirror.account(dev_key(1).address)
    providers = {lease.provider for job in jobs for lease in job.leases}
    earned = sum(mirror.account(provider).free_base for provider in providers)
    return (DEPOSIT_BASE - buyer.free_base - buyer.locked_base, earned, matcher.free_base) == (cost + fees, cost, fees)


def _curl() -> str:
    """The call that bought the first job, as a person types it under `make dev`."""
    manifest = json.loads((JOBS / "train.json").read_text())
    body = json.dumps({"manifest": manifest, "max_price": "0.05"}, separators=(",", ":"))
    return (
        'curl -sX POST http://127.0.0.1:8700/v1/jobs -H "Authorization: Bearer $(cat .gridlease/dev/api.key)" '
        f"-H 'Idempotency-Key: try-1' -H 'Prefer: wait=60' -H 'Content-Type: application/json' -d '{body}'"
    )


def _until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise DemoFailed(f"waited {seconds:.0f} s for {what}; see the logs")
        time.sleep(0.1)


def _print(console: Console, summary: dict[str, Any], path: Path) -> None:
    console.print()
    yes = {True: "[green]yes[/]", False: "[red]NO[/]"}
    rows = (
        ("accuracy", f"{summary['accuracy']:.1%} of 360 held-out digits"),
        ("cost", f"{summary['cost']} (fees {format_dollars(summary['fee_base'])})"),
        ("provider", ", ".join(f"{p} in {z}" for p, z in zip(summary["providers"], summary["zones"], strict=True))),
        ("leases", "\n".join(summary["lease_ids"])),
        ("transactions", "\n".join(summary["tx_hashes"])),
        ("result hashes", "\n".join(summary["result_hashes"])),
        ("result recomputed by the buyer", yes[summary["result_checked"]]),
        ("ledger head proved by storage proof", yes[summary["head_proved"]]),
        ("mirror equals the contract", yes[summary["mirror_equals_chain"]]),
        ("spend = earnings + fees, to the unit", yes[summary["spend_equals_earnings"]]),
        ("one payment checked offline", yes[summary["payment_proof"]["trusted"]]),
        ("seconds", str(summary["seconds"])),
        ("summary", str(path)),
    )
    for name, value in rows:
        lines = value.splitlines() or [""]
        console.print(f"[bold]{name:>36}[/]  {lines[0]}", soft_wrap=True, highlight=False)
        for line in lines[1:]:
            console.print(f"{'':>36}  {line}", soft_wrap=True, highlight=False)
    console.print("\nAgain, with everything kept running: [bold]make dev[/], then")
    console.print(summary["curl"], soft_wrap=True, highlight=False, markup=False)
