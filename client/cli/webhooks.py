"""`gridlease webhooks`: have the market call you when something happens to your jobs."""

from typing import Annotated, cast

import typer

from client.cli.console import JSON_HELP, facts, market, plain, print_json, refuse_usage, say, table
from protocol.wire.webhooks import EVENT_TYPES, MessageState, Webhook, WebhookChange, WebhookMessage

app = typer.Typer(
    name="webhooks", add_completion=False, no_args_is_help=True, help="Have the market call you about your jobs."
)

AsJson = Annotated[bool, typer.Option("--json", help=JSON_HELP)]
WebhookId = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Id of the webhook, as `webhooks list` shows it.")]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", help="Kind of event, such as job.succeeded, job.* or lease.paid; repeat. Default: all."),
]


@app.command(
    epilog="Examples: gridlease webhooks create https://ci.example/hook --type job.succeeded --type job.failed · "
    "gridlease webhooks create https://example.org/money --type 'lease.*' --description bookkeeping"
)
def create(
    url: Annotated[str, typer.Argument(help="https URL at a public address.")],
    types: Types = None,
    description: Annotated[str, typer.Option("--description", help="For yourself.")] = "",
    as_json: AsJson = False,
) -> None:
    """Send events to a URL, signed as Standard Webhooks say; prints the secret to check them with, this once.

    What is not answered with 2xx is sent again, later and later, for three days; an endpoint where nothing succeeds for
    five days is disabled. Events may come twice or out of order: their number in the job says which is which.
    """
    with market() as client:
        made = client.webhooks.create(url, types=_known(types) or ("job.*", "lease.*"), description=description)
    if as_json:
        print_json(made)
        return
    facts([("secret", made.secret), *_facts(made)])
    say("The secret is shown this once; libraries of Standard Webhooks take it as it is.")
    say(f"Try it: gridlease webhooks ping {made.id}")


@app.command("list", epilog="Example: gridlease webhooks list")
def list_webhooks(as_json: AsJson = False) -> None:
    """Your webhooks, and whether they work."""
    with market() as client:
        found = client.webhooks.all()
    if as_json:
        print_json([webhook.model_dump(mode="json") for webhook in found])
        return
    rows = [(hook.id, hook.url, " ".join(hook.types), _state(hook), hook.description) for hook in found]
    table(("WEBHOOK", "URL", "TYPES", "STATE", "DESCRIPTION"), rows)


@app.command(
    "set", epilog="Examples: gridlease webhooks set wh_01j… --enable · gridlease webhooks set wh_01j… --type job.failed"
)
def set_webhook(
    webhook_id: WebhookId,
    url: Annotated[str | None, typer.Option("--url", help="Another URL.")] = None,
    types: Types = None,
    description: Annotated[str | None, typer.Option("--description", help="For yourself.")] = None,
    enable: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Send again after it was disabled, or stop.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change a webhook; what you do not name stays as it is."""
    asked = {"url": url, "types": _known(types) or None, "description": description, "enabled": enable}
    change = {name: value for name, value in asked.items() if value is not None}
    if not change:
        refuse_usage("nothing to change; see `gridlease webhooks set --help`")
    with market() as client:
        webhook = client.webhooks.change(webhook_id, WebhookChange.model_validate(change))
    print_json(webhook) if as_json else facts(_facts(webhook))


@app.command(epilog="Examples: gridlease webhooks log wh_01j… --state failed")
def log(
    webhook_id: WebhookId,
    state: Annotated[str | None, typer.Option("--state", help="Only pending, delivered or failed ones.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Messages at most.")] = 20,
    page: Annotated[str | None, typer.Option("--page", help="Go on from here, as the page before said.")] = None,
    as_json: AsJson = False,
) -> None:
    """What was sent to it or is to be, newest first, with the answer to each attempt."""
    if state not in (None, "pending", "delivered", "failed"):
        refuse_usage(f"--state is pending, delivered or failed, not {state!r}")
    with market() as client:
        found = client.webhooks.log(webhook_id, state=cast(MessageState | None, state), limit=limit, page_token=page)
    if as_json:
        print_json(found)
        return
    table(("MESSAGE", "TYPE", "JOB", "STATE", "ATTEMPTS"), [_row(message) for message in found.data])
    if found.next_page_token:
        say(f"More: gridlease webhooks log {webhook_id} --page {found.next_page_token}")


@app.command(epilog="Example: gridlease webhooks resend wh_01j… msg_01j…")
def resend(
    webhook_id: WebhookId,
    message_id: Annotated[
        str, typer.Argument(metavar="MESSAGE", help="Id of the message, as `webhooks log` shows it.")
    ],
    as_json: AsJson = False,
) -> None:
    """Send a message again, with the same id and the same bytes."""
    with market() as client:
        message = client.webhooks.resend(webhook_id, message_id)
    print_json(message) if as_json else say(f"{message.id} will be sent again; see `webhooks log {webhook_id}`.")


@app.command(epilog="Example: gridlease webhooks ping wh_01j…")
def ping(webhook_id: WebhookId, as_json: AsJson = False) -> None:
    """Send a message of type webhook.ping, to see that the other end works."""
    with market() as client:
        message = client.webhooks.ping(webhook_id)
    print_json(message) if as_json else say(f"{message.id} is on its way; see `webhooks log {webhook_id}`.")


@app.command(epilog="Example: gridlease webhooks rotate wh_01j… --overlap-hours 1")
def rotate(
    webhook_id: WebhookId,
    overlap_hours: Annotated[
        int, typer.Option("--overlap-hours", min=0, max=168, help="Hours for which the old secret signs too.")
    ] = 24,
    as_json: AsJson = False,
) -> None:
    """A new secret, printed this once."""
    with market() as client:
        made = client.webhooks.rotate(webhook_id, overlap_seconds=overlap_hours * 3600)
    print_json(made) if as_json else facts([("secret", made.secret), *_facts(made)])


@app.command(epilog="Example: gridlease webhooks delete wh_01j…")
def delete(webhook_id: WebhookId, as_json: AsJson = False) -> None:
    """End a webhook, with the log of what was sent to it."""
    with market() as client:
        client.webhooks.delete(webhook_id)
    print_json({"deleted": webhook_id}) if as_json else say(f"Deleted {webhook_id}.")


def _facts(webhook: Webhook) -> list[tuple[str, str]]:
    pairs = [
        ("webhook", webhook.id),
        ("url", webhook.url),
        ("types", " ".join(webhook.types)),
        ("state", _state(webhook)),
    ]
    return [*pairs, ("description", webhook.description)] if webhook.description else pairs


def _state(webhook: Webhook) -> str:
    if not webhook.enabled:
        return f"disabled: {plain(webhook.disabled_why or 'by you')}"
    return f"failing since {webhook.failing_since:%Y-%m-%d %H:%M} UTC" if webhook.failing_since else "works"


def _row(message: WebhookMessage) -> tuple[str, ...]:
    tries = ", ".join(str(attempt.status or attempt.fact or "no answer") for attempt in message.attempts)
    return (message.id, message.type, message.job or "", message.state, tries or "none yet")


def _known(types: list[str] | None) -> list[str]:
    unknown = [name for name in types or () if name not in EVENT_TYPES]
    if unknown:
        refuse_usage(f"unknown event type {unknown[0]!r}; use {', '.join(EVENT_TYPES)}")
    return list(types or ())
