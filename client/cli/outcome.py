"""What a job came to, in words or as one JSON document."""

from typing import Any

from client.cli.console import facts, plain, print_json, say
from client.cli.progress import who
from client.errors import NotMatched
from client.sdk import Outcome
from protocol.units import format_dollars
from protocol.wire.jobs import Job, Quote


def job_facts(job: Job) -> list[tuple[str, str]]:
    """Name and value of all that a buyer asks first."""
    pairs = [
        ("job", job.id),
        ("state", job.state if job.failure is None else f"{job.state}: {job.failure}"),
        ("settlement", job.settlement),
        ("segments", f"{job.segments.done} of {job.segments.total}, {job.work:,} work"),
        ("cost", f"{format_dollars(job.cost_base)} and {format_dollars(job.fee_base)} fee"),
    ]
    if job.leases:
        pairs += [("provider", who(job)), ("lease", job.leases[-1].lease)]
    if job.result is not None:
        pairs += [
            ("result", f"{job.result.status}, exit code {job.result.exit_code}"),
            ("result hash", job.result.result_hash),
        ]
    page = job.links.get("lease") or job.links.get("explorer")
    return [*pairs, ("page", page)] if page else pairs


def show_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """The ended job with its checks and downloads."""
    if as_json:
        print_json(outcome_json(outcome))
        return
    facts(job_facts(outcome.job))
    for check in outcome.checks:
        mark = {True: "checked", False: "WRONG", None: "not checked"}[check.holds]
        say(f"{check.name} {mark}: {check.fact}")
    for name, path in outcome.files.items():
        say(f"{name} → {path} (hash checked)")


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    return outcome.job.model_dump(mode="json") | {
        "checks": [{"name": check.name, "holds": check.holds, "fact": check.fact} for check in outcome.checks],
        "files": {name: str(path) for name, path in outcome.files.items()},
    }


def show_quote(quote: Quote, *, as_json: bool) -> None:
    """What a purchase would do, and why offers were refused."""
    if as_json:
        print_json(quote)
        return
    facts(
        [
            ("job hash", quote.job_hash),
            ("offers", f"{quote.offers}, {quote.fitting} fit"),
            ("would match", quote_words(quote)),
            ("rate", f"{quote.rate_dollars or 'none'}, takes at most {quote.max_rate_dollars}"),
            ("costs at most", f"{quote.most_dollars} in all, whatever fails"),
        ]
    )
    if not quote.offers:
        say("No provider is online; try again later.")
    for refusal in quote.refusals:
        remedy = f"; to take the nearest: {refusal.remedy}" if refusal.relaxations else ""
        say(plain(f"{refusal.offers} refused by {refusal.reason}: {refusal.why}{remedy}"))


def quote_words(quote: Quote) -> str:
    if not quote.would_match or quote.provider is None:
        return "no"
    held = format_dollars(quote.lock_base or 0)
    where = f"{quote.provider[:8]}… in {quote.zone or 'no zone'}"
    return f"{where}, holds {held} at most, pays only metered work, fee {format_dollars(quote.fee_base)}"


def require_match(quote: Quote) -> None:
    """Raises `NotMatched` with why each offer was refused, if none would take the order now."""
    if quote.would_match:
        return
    refusals = [refusal.model_dump(mode="json") for refusal in quote.refusals]
    nearest = quote.refusals[0].remedy if quote.refusals else "no provider is online; try again later"
    detail = f"none of {quote.offers} live offers meets the order"
    raise NotMatched("not_matched", 0, detail, nearest, {"refusals": refusals})
