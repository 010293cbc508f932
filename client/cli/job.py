"""`gridlease job`: look at jobs, wait for them, read their logs, end them."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from client.cli.console import JSON_HELP, confirm, facts, market, money_words, plain, print_json, say, table
from client.cli.groups import takes
from client.cli.job_events import event_json, event_words
from client.cli.outcome import job_facts, show_outcome
from client.cli.run import follow
from client.cli.session import RpcUrl, Yes, done, opened
from client.cli.wallet import WalletOptions
from client.disputes import challenge_of
from client.errors import BadAnswer
from client.sdk import require_success
from protocol.hashing import checksum_address, to_hex
from protocol.messages import Domain
from protocol.units import format_dollars

app = typer.Typer(name="job", add_completion=False, no_args_is_help=True, help="Follow, list and cancel jobs.")

JobId = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job (job_…).")]
AsJson = Annotated[bool, typer.Option("--json", help=JSON_HELP)]


@app.command(epilog="Example: gridlease job status job_01j…")
def status(job_id: JobId, as_json: AsJson = False) -> None:
    """The job as it is now."""
    with market() as client:
        job = client.job(job_id)
    if as_json:
        print_json(job)
    else:
        facts(job_facts(job))


@app.command(epilog="Example: gridlease job wait job_01j… --out results")
def wait(
    job_id: JobId,
    out: Annotated[Path | None, typer.Option("--out", file_okay=False, help="Folder for the outputs.")] = None,
    as_json: AsJson = False,
) -> None:
    """Follow a job to its end, check its result, download its outputs. Ctrl-C leaves the job running."""
    with market(timeout_seconds=120.0) as client:
        ended = follow(client, client.job(job_id), quiet=as_json)
        if ended.result is None:
            require_success(ended)
        outcome = client.collect(ended, out=out)
    show_outcome(outcome, as_json=as_json)
    if not outcome.trusted:
        raise BadAnswer("the job's result", "a recomputed hash differs")
    if ended.state != "succeeded":
        raise typer.Exit(1)


@app.command(epilog="Example: gridlease job logs job_01j…")
def logs(job_id: JobId, as_json: AsJson = False) -> None:
    """What the job printed so far. It is the provider's word: the result hash does not cover it."""
    with market() as client:
        text = client.logs(job_id)
    if as_json:
        print_json({"job": job_id, "logs": text})
    else:
        # A file gets the bytes as they are, a terminal nothing that could steer it.
        typer.echo(plain(text) if sys.stdout.isatty() else text, nl=False)


@app.command(epilog="Examples: gridlease job events job_01j… · gridlease job events job_01j… --after 12 --json | jq .")
def events(
    job_id: JobId,
    after: Annotated[int, typer.Option(min=0, help="Go on after this event.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document for each event, a line each.")] = False,
) -> None:
    """What happens to a job, as it happens: states, segments, what it prints, leases and payments.

    Ends when work and money have ended. A broken connection goes on where it broke; so does `--after`.
    """
    try:
        with market() as client:
            for event in client.jobs.events(job_id, after=after):
                after = event.number
                typer.echo(event_json(event) if as_json else event_words(event))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Go on from here: gridlease job events {job_id} --after {after}") from None


@app.command(epilog="Example: gridlease job evidence job_01j…")
def evidence(job_id: JobId, as_json: AsJson = False) -> None:
    """What providers signed about the job and was found wrong: with it, `challenge` puts their bond at stake."""
    with market() as client:
        found = client.jobs.evidence(job_id)
    if as_json:
        print_json(found)
        return
    rows = [(one.lease, one.provider, str(one.sequence), one.verdict) for one in found.data]
    table(("LEASE", "PROVIDER", "SEGMENT", "FOUND"), rows)
    if not found.data:
        say("Nobody was caught.")
    elif found.arbiter is None:
        say("The order names no arbiter, so nothing can be challenged; what was found wrong is not paid.")
    else:
        stake = format_dollars(found.bond_base)
        say(f"Arbiter {found.arbiter}, {stake} at stake on each side: gridlease job challenge {job_id} --lease …")


@app.command(epilog="Example: gridlease job challenge job_01j… --keystore wallet.json")
@takes(wallet=WalletOptions)
def challenge(
    job_id: JobId,
    *,
    lease: Annotated[str | None, typer.Option("--lease", help="Which lease, if several lied.")] = None,
    wallet: WalletOptions,
    rpc: RpcUrl = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Challenge what a provider signed about the job, before the order's arbiter. Your bond is at stake until it rules.

    In time: before the lease's deadline. If the arbiter is silent for 14 days, both bonds return.
    """
    with market() as client:
        found = client.jobs.evidence(job_id)
    with opened(wallet, rpc) as session:
        domain = Domain(chain_id=session.chain.chain_id, ledger=checksum_address(session.chain.ledger))
        made = challenge_of(found, domain, session.key.address, lease)
        stake = money_words(made.order.bond)
        words = f"Put {stake} at stake on {session.ledger_words}, that provider {made.provider} lied about segment"
        confirm(f"{words} {made.receipt.sequence}; {made.order.arbiter} rules.", yes=yes)
        done(made.send(session.funds), f"Challenged lease {to_hex(made.lease)}", as_json)


@app.command(epilog="Example: gridlease job cancel job_01j…")
def cancel(job_id: JobId, as_json: AsJson = False) -> None:
    """End a job. Work that was metered is paid, the rest of the lock comes back after the notice."""
    with market() as client:
        job = client.cancel(job_id)
    if as_json:
        print_json(job)
    else:
        say(f"{job.id} is {job.state}; it cost {format_dollars(job.cost_base + job.fee_base)}.")


@app.command("list", epilog="Example: gridlease job list --limit 5")
def list_jobs(
    limit: Annotated[int, typer.Option(min=1, max=100, help="Jobs at most.")] = 20,
    page: Annotated[str | None, typer.Option("--page", help="Go on from here, as the page before said.")] = None,
    as_json: AsJson = False,
) -> None:
    """Your jobs, newest first."""
    with market() as client:
        found = client.list_jobs(limit=limit, page_token=page)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            job.id,
            job.state,
            f"{job.segments.done}/{job.segments.total}",
            format_dollars(job.cost_base + job.fee_base),
            (job.leases[-1].zone or "") if job.leases else "",
            job.created_at.strftime("%Y-%m-%d %H:%M"),
        )
        for job in found.data
    ]
    table(("JOB", "STATE", "SEGMENTS", "COST", "ZONE", "BOUGHT (UTC)"), rows)
    if found.next_page_token:
        say(f"More: gridlease job list --page {found.next_page_token}")
