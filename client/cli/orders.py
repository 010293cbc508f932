"""`gridlease orders`: buy with orders that your own wallet signs, here or elsewhere, without a delegate on chain."""

from pathlib import Path
from typing import Annotated

import orjson
import typer
from pydantic import ValidationError

from client.cli.console import JSON_HELP, confirm, market, print_json, refuse_usage, say
from client.cli.groups import takes
from client.cli.outcome import quote_words, require_match, show_quote
from client.cli.policy import Policy
from client.cli.wallet import WalletOptions
from client.cli.wallet_session import signed_in
from client.drafts import draft_of
from client.files import Files
from client.jobs import request_for
from client.orders import Orders, checked_order, sign_order, signed_order
from protocol.hashing import checksum_address
from protocol.units import format_dollars
from protocol.wire.fields import Wire
from protocol.wire.jobs import Job, JobRequest
from protocol.wire.orders import OrderDraft

app = typer.Typer(
    name="orders", add_completion=False, no_args_is_help=True, help="Buy with orders that your own wallet signs."
)

AsJson = Annotated[bool, typer.Option("--json", help=JSON_HELP)]
JobFile = Annotated[
    Path, typer.Argument(metavar="JOB", help="A manifest file, or a WASM module.", exists=True, dir_okay=False)
]


class OrderFile(Wire):
    """What `prepare` leaves for `submit`."""

    request: JobRequest
    draft: OrderDraft


@app.command(
    epilog="Examples: gridlease orders sign jobs/digits/train.json --max-price 0.05 --keystore wallet.json · "
    "gridlease orders sign train.json --replicas 3 --distinct-zones --max-carbon 100 --deadline 2h"
)
@takes(policy=Policy, wallet=WalletOptions)
def sign(
    job: JobFile,
    *,
    policy: Policy,
    wallet: WalletOptions,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before buying.")] = False,
    as_json: AsJson = False,
) -> None:
    """Upload a job, sign its order with your wallet, and buy.

    The order is held to what you asked before it is signed: job, buyer, ledger, and the most that it can cost. No key
    of the market's may spend your deposit then, so no delegate needs to be approved.
    """
    terms = policy.terms()
    with signed_in(wallet) as session:
        request = request_for(draft_of(job).bind(Files(session.http).put), terms)
        orders = Orders(session.http)
        draft = orders.prepare(request)
        require_match(draft.quote)
        signed = sign_order(draft, request, session.key, session.chain)
        cost = format_dollars(draft.quote.most_base)
        confirm(
            f"Buy this job for at most {cost} in all, now from {quote_words(draft.quote)}.",
            yes=yes or policy.max_price is not None,
        )
        bought = orders.submit(signed)
    _bought(bought, as_json)


@app.command(
    epilog="Example: gridlease orders prepare train.json --max-price 0.05 --out order.json --typed-data typed.json; "
    "then `cast wallet sign --ledger --data --from-file typed.json`, and `gridlease orders submit order.json`"
)
@takes(policy=Policy)
def prepare(
    job: JobFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="File for `orders submit`.", dir_okay=False)],
    typed_data: Annotated[
        Path | None,
        typer.Option("--typed-data", help="File with what the wallet signs (eth_signTypedData_v4).", dir_okay=False),
    ] = None,
    *,
    policy: Policy,
    as_json: AsJson = False,
) -> None:
    """Upload a job and write its order, for a wallet elsewhere to sign: a hardware wallet, a browser, a Safe."""
    terms = policy.terms()
    with market(timeout_seconds=120.0) as client:
        request = request_for(client.upload(job), terms)
        draft = client.orders.prepare(request)
        checked_order(draft, request, checksum_address(client.account().address), client.chain())
    require_match(draft.quote)
    out.write_text(OrderFile(request=request, draft=draft).model_dump_json(indent=2) + "\n")
    if typed_data is not None:
        typed_data.write_text(_json(draft))
    if as_json:
        print_json(draft)
        return
    show_quote(draft.quote, as_json=False)
    say(f"Wrote {out}. Sign the typed data in it as its buyer, then: gridlease orders submit {out} --signature 0x…")


@app.command(epilog="Example: gridlease orders submit order.json --signature 0x…")
def submit(
    order: Annotated[
        Path, typer.Argument(metavar="ORDER", help="File of `orders prepare`.", exists=True, dir_okay=False)
    ],
    signature: Annotated[str, typer.Option("--signature", help="Of its typed data, as 0x hex.")],
    as_json: AsJson = False,
) -> None:
    """Buy with an order that was signed elsewhere. Sent twice it is one job."""
    try:
        file = OrderFile.model_validate_json(order.read_bytes())
    except ValidationError as error:
        refuse_usage(f"{order} is no file of `orders prepare`: {error.errors(include_input=False)[0]['msg']}")
    with market() as client:
        bought = client.orders.submit(signed_order(file.draft, file.request, signature))
    _bought(bought, as_json)


def _bought(job: Job, as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    typer.echo(job.id)
    say(f"Bought. Follow it: gridlease job events {job.id} · its end: gridlease job wait {job.id}")


def _json(draft: OrderDraft) -> str:
    return orjson.dumps(draft.typed_data, option=orjson.OPT_INDENT_2).decode() + "\n"
