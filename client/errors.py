"""What can go wrong between a buyer and a market, as types.

MarketError
├── MarketUnavailable        no answer
├── BadAnswer                an answer that is not what the protocol says
├── FileMismatch · FileChanged
├── NotLoggedIn · BadLogin · OtherLedger · OtherWallet
├── JobFailed · JobNotEnded  the job ended without success, or not in time
├── NothingToChallenge       nobody was caught, nobody could rule, or it is not said which
└── MarketRefused            problem+json, by its code or status
    ├── NotSignedIn · NotFound
    ├── NotFunded            money is missing: deposit, or raise the delegate's cap
    └── NotMatched           no live offer meets the order
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from protocol.errors import MarketError

if TYPE_CHECKING:
    from protocol.wire.jobs import Job


class MarketUnavailable(MarketError):
    """The market does not answer; what was asked may or may not have happened."""

    code = "market_unavailable"

    def __init__(self, url: str, fact: str) -> None:
        super().__init__(f"no answer from the market at {url}: {fact}; is it running, and is GRIDLEASE_URL right?")


class BadAnswer(MarketError):
    """The market answered with something else than the protocol says."""

    code = "bad_answer"

    def __init__(self, what: str, fact: str) -> None:
        super().__init__(
            f"the market's answer to {what} is not understood: {fact[:300]}; "
            "is that URL a Gridlease market of this version?"
        )


class FileMismatch(MarketError):
    """Bytes whose SHA-256 is not the one that their CID names. Nothing of them is kept."""

    code = "file_mismatch"

    def __init__(self, expected: str, found: str) -> None:
        self.expected, self.found = expected, found
        super().__init__(f"expected file {expected}, the market sent {found}; nothing was written, try another market")


class FileChanged(MarketError):
    """A local file changed between hashing and sending."""

    code = "file_changed"

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} changed while it was sent; try again when nothing writes to it")


class NotLoggedIn(MarketError):
    """There is no API key for this market."""

    code = "not_logged_in"

    def __init__(self, url: str) -> None:
        super().__init__(f"no API key for {url}; run `gridlease login {url} --key glk_…` or set GRIDLEASE_KEY")


class BadLogin(MarketError):
    """The stored login, a URL or a sign-in answer cannot be used."""

    code = "bad_login"


class OtherLedger(MarketError):
    """The market names another chain or ledger than at login: money could go to a stranger's contract."""

    code = "other_ledger"

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(
            f"expected {expected} as at login, the market now says {found}; "
            "if that is right, log in again, else send nothing"
        )


class OtherWallet(MarketError):
    """The opened wallet is not the account that the API key buys for."""

    code = "other_wallet"

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(
            f"expected the wallet of {expected}, for which the API key buys, the key file opens {found}; "
            "name the right --keystore"
        )


class JobNotEnded(MarketError):
    """The job outlasted the caller's patience. It goes on."""

    code = "job_not_ended"

    def __init__(self, job_id: str, seconds: float) -> None:
        super().__init__(f"job {job_id} has not ended after {seconds:g} s; it goes on, `gridlease job wait {job_id}`")


class JobFailed(MarketError):
    """The job ended without success; `job` holds what is known, and outputs if there are any."""

    code = "job_failed"

    def __init__(self, job: "Job", reason: str) -> None:
        self.job = job
        super().__init__(f"job {job.id} {job.state}: {reason}; see `gridlease job logs {job.id}`")


class NothingToChallenge(MarketError):
    """No challenge can be made of the evidence."""

    code = "nothing_to_challenge"

    def __init__(self, fact: str, remedy: str) -> None:
        super().__init__(f"{fact}; {remedy}")


class MarketRefused(MarketError):
    """The market refused a request and said why (RFC 9457)."""

    def __init__(
        self,
        code: str,
        status: int,
        detail: str,
        remedy: str | None = None,
        extras: Mapping[str, Any] | None = None,
    ) -> None:
        self.code = code
        #: HTTP status; 0 if the refusal came with a job and not with an answer
        self.status = status
        self.detail = detail
        self.remedy = remedy
        #: further members of the problem, such as `refusals`
        self.extras = dict(extras or {})
        super().__init__(f"{detail}; {remedy}" if remedy and remedy not in detail else detail)


class NotSignedIn(MarketRefused):
    """The API key is unknown, revoked, or may not do this."""


class NotFound(MarketRefused):
    """The market has no such thing, or not for this account."""


class NotFunded(MarketRefused):
    """The free balance or the delegate's cap does not cover the order."""


class NotMatched(MarketRefused):
    """No live offer meets the order; `extras["refusals"]` says why for each."""


_BY_STATUS: Final[dict[int, type[MarketRefused]]] = {401: NotSignedIn, 402: NotFunded, 403: NotSignedIn, 404: NotFound}
_BY_CODE: Final[dict[str, type[MarketRefused]]] = {
    "not_funded": NotFunded,
    "not_matched": NotMatched,
    "not_signed_in": NotSignedIn,
    "not_found": NotFound,
}


def refused(
    code: str, status: int, detail: str, remedy: str | None = None, extras: Mapping[str, Any] | None = None
) -> MarketRefused:
    """The most exact class for a problem: by its code, else by its HTTP status."""
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status, MarketRefused)
    return kind(code, status, detail, remedy, extras)
