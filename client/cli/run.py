"""`gridlease run`: one job from local files to checked outputs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from client.cli.console import JSON_HELP, confirm, market, print_json, refuse_usage, say
from client.cli.groups import takes
from client.cli.outcome import quote_words, require_match, show_outcome, show_quote
from client.cli.policy import Policy
from client.cli.progress import watching
from client.drafts import WALL_SECONDS, WORK, Draft, is_module
from client.errors import BadAnswer, MarketUnavailable
from client.jobs import Terms
from client.sdk import Client, require_success
from protocol.manifest import Manifest
from protocol.wire.jobs import Job, Quote

app = typer.Typer(name="run", add_completion=False)

_MIB = 2**20


@app.command(
    epilog="Examples: gridlease run train.json --out results --max-price 0.05 · "
    "gridlease run --input digits.csv=data/digits.csv --segments 20 --work 2_000_000_000 --out results -- train.wasm. "
    "In a manifest file, a module or input that is no CID is a path beside the file."
)
@takes(policy=Policy)
def run(
    command: Annotated[
        list[str], typer.Argument(metavar="MANIFEST.json | -- MODULE.wasm [ARGS]…", help="What to run.")
    ],
    inputs: Annotated[
        list[str] | None, typer.Option("--input", metavar="NAME=PATH", help="File for /in/NAME; repeat. CIDs work too.")
    ] = None,
    environment: Annotated[
        list[str] | None, typer.Option("--env", metavar="NAME=TEXT", help="Environment variable; repeat.")
    ] = None,
    segments: Annotated[
        int | None, typer.Option(min=0, max=4096, help="Calls of step(i), each paid. Default 0: one call of _start.")
    ] = None,
    work: Annotated[int | None, typer.Option(min=1, help=f"Limit in units of work. Default {WORK:_}.")] = None,
    memory: Annotated[int | None, typer.Option(min=1, metavar="MIB", help="Memory limit in MiB. Default 64.")] = None,
    wall: Annotated[
        int | None, typer.Option(min=1, metavar="SECONDS", help=f"Time limit in seconds. Default {WALL_SECONDS}.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", file_okay=False, help="Folder for the outputs.")] = None,
    *,
    policy: Policy,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Quote only; say why offers do not match.")] = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for the end.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before buying.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Buy a job: upload its files, pay per verified segment, check the result, download the outputs.

    Ctrl-C detaches: the job goes on, and `gridlease job wait` picks it up again.
    """
    draft = _draft(command, _pairs("--input", inputs), _pairs("--env", environment), segments, work, memory, wall)
    terms = policy.terms()
    with market(timeout_seconds=120.0) as client:
        if dry_run or not (yes or policy.max_price):
            quote = client.quote(draft, **terms)
            if dry_run:
                show_quote(quote, as_json=as_json)
                raise typer.Exit(0 if quote.would_match else 4)
            _consent(quote)
        manifest = client.upload(draft)
        job = _buy(client, manifest, terms)
        if detach:
            print_json(job) if as_json else typer.echo(job.id)
            return
        say(f"Bought {job.id}. Ctrl-C detaches, the job goes on.")
        ended = follow(client, job, quiet=as_json)
        if ended.result is None:
            require_success(ended)
        outcome = client.collect(ended, manifest, out)
    show_outcome(outcome, as_json=as_json)
    if not outcome.trusted:
        raise BadAnswer("the job's result", "a recomputed hash differs")
    if ended.state != "succeeded":
        raise typer.Exit(1)


def _buy(client: Client, manifest: Manifest, terms: Terms) -> Job:
    """Once the order is on its way, an interruption does not tell whether it arrived: say where to look."""
    look = "see `gridlease job list` before you buy again"
    try:
        return client.submit_manifest(manifest, **terms)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Interrupted while buying; {look}.") from None
    except MarketUnavailable:
        say(f"The order may have arrived; {look}.")
        raise


def follow(client: Client, job: Job, *, quiet: bool) -> Job:
    """Waits with a progress bar; Ctrl-C leaves the job alone and says how to come back."""
    try:
        with watching(quiet=quiet) as watcher:
            watcher(job)
            return client.wait(job, watcher)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Detached; the job goes on. Come back: gridlease job wait {job.id} · end it: gridlease job cancel {job.id}"
        ) from None


def _draft(
    command: list[str],
    inputs: dict[str, str],
    environment: dict[str, str],
    segments: int | None,
    work: int | None,
    memory: int | None,
    wall: int | None,
) -> Draft:
    first = Path(command[0])
    if not first.is_file():
        refuse_usage(f"{first} is no file; name a manifest or a WASM module")
    asked = {"work": work, "memory_bytes": memory and memory * _MIB, "wall_seconds": wall}
    limits = {name: value for name, value in asked.items() if value is not None}
    if is_module(first):
        draft = Draft.of(first, arguments=command[1:])
    elif len(command) == 1:
        draft = Draft.read(first)
    else:
        refuse_usage("arguments follow a module only; a manifest holds its own")
    return draft.changed(inputs=inputs, environment=environment, limits=limits, segments=segments)


def _pairs(option: str, texts: Iterable[str] | None) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not (name and equals):
            refuse_usage(f"{option} expects NAME=VALUE, found {text!r}")
        pairs[name] = value
    return pairs


def _consent(quote: Quote) -> None:
    require_match(quote)
    confirm(f"Buy this job from {quote_words(quote)}.", yes=False)
