"""`gridlease provider …`: join a market, serve it, look at the agent, leave. The front door tells what went wrong."""

import json
import signal
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(help="Sell this machine's compute.", no_args_is_help=True)

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="The agent's folder: key, settings, journals.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command()
def join(
    url: Annotated[str, typer.Argument(help="The market, such as http://127.0.0.1:8700.")],
    zone: Annotated[str, typer.Option(help="Electric grid zone of this machine, such as FR or US-CAL-CISO.")],
    name: Annotated[str, typer.Option(help="Shown to people.")] = "provider",
    rate: Annotated[
        int | None, typer.Option(help="Pico-dollars per 10⁶ work. Default: the market's median.", min=1)
    ] = None,
    data_dir: DataDir = None,
    password_file: Annotated[
        Path | None, typer.Option(help="Password of the operator key. Default: a new one in the folder.")
    ] = None,
    rpc_url: Annotated[str | None, typer.Option("--rpc", help="Your own node. Default: the market's.")] = None,
    beneficiary: Annotated[
        str | None,
        typer.Option(help="Your wallet, which alone withdraws what this machine earns. Needs gas on the operator key."),
    ] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Go on serving.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tests this machine, makes its operator key, and signs an offer."""
    from protocol.hashing import checksum_address
    from provider import joining
    from provider.beneficiary import name_beneficiary
    from provider.settings import default_folder

    folder = data_dir or default_folder()
    owner = None if beneficiary is None else checksum_address(beneficiary)
    if owner is not None:
        typer.echo(f"Only {owner} will withdraw what this machine earns, and only it can change that.", err=True)
    if not yes:
        typer.confirm(f"Offer this machine at {url} from {folder}?", abort=True)
    request = joining.JoinRequest(
        url=url, data_dir=folder, name=name, zone=zone, rate=rate, password_file=password_file, rpc_url=rpc_url
    )
    joined = joining.join(request)
    facts: dict[str, Any] = {
        "provider": joined.key.address,
        "zone": joined.settings.zone,
        "rate": joined.settings.rate,
        "work_per_second": joined.calibration.work_per_second,
        "memory_bytes": joined.settings.memory_bytes,
        "machine": joined.machine.description,
        "data_dir": str(joined.settings.data_dir),
    }
    if owner is not None:
        name_beneficiary(joined.settings, joined.key, owner)
        facts["beneficiary"] = owner
    if serve:
        _print_facts(facts, as_json=as_json)
        _serve(joined.settings.data_dir)
        return
    facts["offer"] = _post_offer(joined.settings.data_dir)
    _print_facts(facts, as_json=as_json)


@app.command()
def run(data_dir: DataDir = None) -> None:
    """Serves leases until stopped by Ctrl-C or SIGTERM."""
    from provider.settings import default_folder

    _serve(data_dir or default_folder())


@app.command()
def status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """What this agent is, what it has served and what it was paid by vouchers."""
    from provider.joining import open_key
    from provider.journal import all_journals
    from provider.settings import AgentSettings, default_folder

    settings = AgentSettings.load(data_dir or default_folder())
    address = open_key(settings).address
    leases = [
        {
            "lease": lease,
            "segments": len(progress.segments),
            "paid_base": str(progress.paid_base),
            "outcome": progress.end.outcome if progress.end else "serving",
        }
        for lease, progress in all_journals(settings.data_dir / "leases")
    ]
    facts: dict[str, Any] = {
        "provider": address,
        "name": settings.name,
        "zone": settings.zone,
        "rate": settings.rate,
        "market": settings.market_url,
        "leaving": settings.leaving_mark.exists(),
        "paid_base": str(sum(int(lease["paid_base"]) for lease in leases)),
        "leases": leases,
    }
    _print_facts(facts, as_json=as_json)


@app.command()
def redeem(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Pays you what you hold vouchers for, by your own transaction: for a market that does not. Needs gas."""
    from provider.redeeming import redeem_vouchers
    from provider.settings import AgentSettings, default_folder

    paid = redeem_vouchers(AgentSettings.load(data_dir or default_folder()))
    leases = [{"lease": lease, "amount_base": str(amount)} for lease, amount in paid]
    total = str(sum(amount for _, amount in paid))
    _print_facts({"amount_base": total, "leases": leases}, as_json=as_json)


@app.command(hidden=True)
def replay(folder: Annotated[Path, typer.Argument(help="Holds segment.json; answer.json is written there.")]) -> None:
    """Runs one segment of a job again: how a market checks what providers say."""
    from provider.replaying import replay as run_again

    run_again(folder)


@app.command()
def leave(data_dir: DataDir = None) -> None:
    """Takes the offer out of the market; a running agent ends its lease first and then stops."""
    from provider.building import standing_offer
    from provider.settings import AgentSettings, default_folder

    settings = AgentSettings.load(data_dir or default_folder())
    settings.leaving_mark.touch()
    standing_offer(settings).withdraw()
    typer.echo("The offer is withdrawn. A lease that runs is served to its end.")


def _serve(data_dir: Path) -> None:
    """Runs the agent; Ctrl-C and SIGTERM end it, and with it the sandbox."""
    from protocol.logs import configure_logs
    from provider.building import build_agent
    from provider.settings import AgentSettings

    configure_logs()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        build_agent(AgentSettings.load(data_dir)).run()
    except KeyboardInterrupt:
        # Whatever was under way is in the journal; the sandbox died with its execution.
        typer.echo("Stopped.", err=True)


def _post_offer(data_dir: Path) -> str:
    from provider.building import post_offer
    from provider.settings import AgentSettings

    return post_offer(AgentSettings.load(data_dir))


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _print_facts(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    table = Table(box=None, show_header=False)
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), json.dumps(value) if isinstance(value, list) else str(value))
    Console().print(table)
