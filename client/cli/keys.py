"""`gridlease keys`: API keys by which programs buy, with what each may do and spend. Your wallet alone makes them."""

from typing import Annotated, cast, get_args

import typer
from pydantic import SecretStr

from client.account import Keys
from client.cli.console import JSON_HELP, confirm, facts, market, moment, print_json, refuse_usage, say, table
from client.cli.groups import takes
from client.cli.wallet import WalletOptions
from client.cli.wallet_session import WalletSession, signed_in
from client.settings import save_login
from protocol.clock import now_time
from protocol.units import format_dollars, parse_dollars
from protocol.wire.accounts import ALL_SCOPES, ApiKey, KeyChange, NewApiKey, Scope

app = typer.Typer(name="keys", add_completion=False, no_args_is_help=True, help="API keys: what each may do and spend.")

_DAY_SECONDS = 86_400
_SCOPES = ", ".join(get_args(Scope))
AsJson = Annotated[bool, typer.Option("--json", help=JSON_HELP)]
KeyId = Annotated[str, typer.Argument(metavar="KEY", help="Id of the key (key_…), as `gridlease keys list` shows it.")]
ScopeOption = Annotated[
    list[str] | None, typer.Option("--scope", help=f"What it may do; repeat: {_SCOPES}. Default: all.")
]
Cap = Annotated[
    str | None, typer.Option("--cap", metavar="DOLLARS", help="All its orders together. Default: its delegate's cap.")
]
DailyCap = Annotated[
    str | None, typer.Option("--daily-cap", metavar="DOLLARS", help="All its orders of one day (UTC).")
]
Days = Annotated[int | None, typer.Option("--days", min=1, max=3650, help="Days until it expires.")]


@app.command(
    epilog="Examples: gridlease keys create nightly --cap 20 --daily-cap 2 --days 90 · "
    "gridlease keys create dashboard --scope jobs:read --scope account:read"
)
@takes(wallet=WalletOptions)
def create(
    name: Annotated[str, typer.Argument(help="What you call it.")],
    scope: ScopeOption = None,
    cap: Cap = None,
    daily_cap: DailyCap = None,
    days: Days = None,
    *,
    wallet: WalletOptions,
    as_json: AsJson = False,
) -> None:
    """Make a key and print its secret, this once.

    The market signs its orders with a key of its own, the delegate, which your money does not know yet: approve it with
    a cap on chain by `gridlease account delegate`. The caps here are tighter, and cost no transaction to change.
    """
    scopes = _scopes(scope) or list(ALL_SCOPES)
    with signed_in(wallet) as session:
        made = Keys(session.http).create(
            name, scopes=scopes, cap_base=_base(cap), daily_cap_base=_base(daily_cap), expires_time=_expiry(days)
        )
    _show_new(made, as_json)
    if not as_json:
        say(f"Let it buy: gridlease account delegate --cap 5 --address {made.delegate}")


@app.command("list", epilog="Example: gridlease keys list --json")
def list_keys(as_json: AsJson = False) -> None:
    """Your live keys, without their secrets, and what is left of their caps."""
    with market() as client:
        keys = client.keys.all()
    if as_json:
        print_json([key.model_dump(mode="json") for key in keys])
        return
    rows = [
        (
            key.id,
            key.prefix + "…",
            key.name,
            " ".join(key.scopes),
            _money(key.left_base),
            _money(key.left_today_base),
            format_dollars(key.allowance.remaining_base) if key.allowance else "",
            key.last_used_at.strftime("%Y-%m-%d %H:%M") if key.last_used_at else "never",
        )
        for key in keys
    ]
    table(("KEY", "SECRET", "NAME", "SCOPES", "LEFT", "LEFT TODAY", "LEFT ON CHAIN", "USED (UTC)"), rows)


@app.command(epilog="Example: gridlease keys show key_01j…")
def show(key_id: KeyId, as_json: AsJson = False) -> None:
    """One key: scopes, caps and what is left of them, here and on chain."""
    with market() as client:
        key = client.keys.get(key_id)
    print_json(key) if as_json else facts(_facts(key))


@app.command(
    "set",
    epilog="Examples: gridlease keys set key_01j… --daily-cap 5 · "
    "gridlease keys set key_01j… --no-cap --scope jobs:read",
)
@takes(wallet=WalletOptions)
def set_key(
    key_id: KeyId,
    name: Annotated[str | None, typer.Option("--name", help="What you call it.")] = None,
    scope: ScopeOption = None,
    cap: Cap = None,
    no_cap: Annotated[bool, typer.Option("--no-cap", help="Only the delegate's cap on chain counts.")] = False,
    daily_cap: DailyCap = None,
    no_daily_cap: Annotated[bool, typer.Option("--no-daily-cap", help="No cap by the day.")] = False,
    days: Days = None,
    no_expiry: Annotated[bool, typer.Option("--no-expiry", help="It never expires.")] = False,
    *,
    wallet: WalletOptions,
    as_json: AsJson = False,
) -> None:
    """Change a key's name, scopes, caps or expiry; what you do not name stays as it is."""
    for option, given, taken_away in (
        ("cap", cap, no_cap),
        ("daily-cap", daily_cap, no_daily_cap),
        ("days", days, no_expiry),
    ):
        if given is not None and taken_away:
            refuse_usage(f"give --{option}, or take it away, not both")
    change: dict[str, object] = {}
    if name is not None:
        change["name"] = name
    if scope:
        change["scopes"] = _scopes(scope)
    if cap is not None or no_cap:
        change["cap_base"] = _base(cap)
    if daily_cap is not None or no_daily_cap:
        change["daily_cap_base"] = _base(daily_cap)
    if days is not None or no_expiry:
        change["expires_time"] = _expiry(days)
    if not change:
        refuse_usage("nothing to change; see `gridlease keys set --help`")
    with signed_in(wallet) as session:
        key = Keys(session.http).change(key_id, KeyChange.model_validate(change))
    print_json(key) if as_json else facts(_facts(key))


@app.command(epilog="Example: gridlease keys rotate key_01j… --overlap-hours 1")
@takes(wallet=WalletOptions)
def rotate(
    key_id: KeyId,
    overlap_hours: Annotated[
        int, typer.Option("--overlap-hours", min=0, max=720, help="Hours that the old secret works on; 0 ends it now.")
    ] = 24,
    *,
    wallet: WalletOptions,
    as_json: AsJson = False,
) -> None:
    """A new secret for the same key, printed this once. Scopes, caps and delegate stay.

    Where the stored login is by this key, the login gets the new secret.
    """
    with signed_in(wallet) as session:
        made = Keys(session.http).rotate(key_id, overlap_seconds=overlap_hours * 3600)
        path = _follow_login(session, made)
    _show_new(made, as_json)
    if path is not None:
        say(f"The login in {path} has the new secret.")


@app.command(epilog="Example: gridlease keys revoke key_01j… --yes")
@takes(wallet=WalletOptions)
def revoke(
    key_id: KeyId,
    *,
    wallet: WalletOptions,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """End a key at this market, at once. Its open jobs go on; its delegate stays approved until you revoke that too."""
    with signed_in(wallet) as session:
        keys = Keys(session.http)
        key = keys.get(key_id)
        confirm(f"Revoke API key {key.name!r} ({key.prefix}…).", yes=yes)
        keys.revoke(key_id)
    if as_json:
        print_json({"revoked": key.id, "delegate": key.delegate})
    else:
        say(f"Revoked. On chain as well: gridlease account delegate --revoke --address {key.delegate}")


def _follow_login(session: WalletSession, made: NewApiKey) -> str | None:
    """Each key has a delegate of its own, so it tells whether the login is by this key."""
    if session.login is None or session.login.delegate != made.delegate:
        return None
    return str(save_login(session.login.model_copy(update={"key": SecretStr(made.key)})))


def _show_new(made: NewApiKey, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    facts([("secret", made.key), *_facts(made)])
    say("The secret is shown this once. Give it to the program as GRIDLEASE_KEY.")


def _facts(key: ApiKey) -> list[tuple[str, str]]:
    pairs = [
        ("key", key.id),
        ("name", key.name),
        ("scopes", " ".join(key.scopes)),
        ("cap", _cap_words(key.cap_base, key.left_base)),
        ("daily cap", _cap_words(key.daily_cap_base, key.left_today_base)),
        ("committed", format_dollars(key.committed_base)),
        ("delegate", key.delegate),
    ]
    if key.allowance is not None and key.allowance.until_time:
        left = format_dollars(key.allowance.remaining_base)
        pairs.append(("on chain", f"may commit {left} more until {moment(key.allowance.until_time)}"))
    else:
        pairs.append(("on chain", "not approved yet"))
    pairs.append(("expires", moment(int(key.expires_at.timestamp())) if key.expires_at else "never"))
    if key.previous_until is not None:
        pairs.append(("old secret", f"works until {moment(int(key.previous_until.timestamp()))}"))
    return pairs


def _cap_words(cap_base: int | None, left_base: int | None) -> str:
    return "none" if cap_base is None else f"{format_dollars(cap_base)}, {_money(left_base)} left"


def _money(base: int | None) -> str:
    return "" if base is None else format_dollars(base)


def _scopes(asked: list[str] | None) -> list[Scope]:
    unknown = [name for name in asked or () if name not in get_args(Scope)]
    if unknown:
        refuse_usage(f"unknown scope {unknown[0]!r}; use {_SCOPES}")
    return cast(list[Scope], list(asked or ()))


def _base(dollars: str | None) -> int | None:
    return None if dollars is None else parse_dollars(dollars)


def _expiry(days: int | None) -> int | None:
    return None if days is None else now_time() + days * _DAY_SECONDS
