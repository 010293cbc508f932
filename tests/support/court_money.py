"""Where each base unit of a court's world is: in wallets, in the ledger, in the court."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Self

from protocol.calls import decode_result, encode_call
from protocol.court import CONTRACT
from protocol.events import LeaseState
from protocol.hashing import Address, from_hex, to_hex
from protocol.keys import LocalKey
from tests.support.court_trial import Trial
from tests.support.court_world import CourtWorld
from tests.support.followed import Followed


@dataclass(frozen=True, slots=True)
class Purse:
    """Base units of one party, or how much they changed."""

    #: in the ledger, to withdraw or lock
    free: int = 0
    #: in the ledger, at stake
    bonded: int = 0
    #: in the court
    stake: int = 0
    #: fees that the court owes to a juror
    owed: int = 0
    #: tokens of its own
    wallet: int = 0

    def __sub__(self, other: "Purse") -> "Purse":
        return Purse(*(mine - theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    def total(self) -> int:
        return self.free + self.bonded + self.stake + self.owed + self.wallet


@dataclass(frozen=True, slots=True)
class Sheet:
    """All purses at one moment."""

    purses: dict[str, Purse]
    burned: int

    @classmethod
    def of(cls, world: CourtWorld) -> Self:
        return cls(_purses(world), world.view("burned"))


def parties(world: CourtWorld) -> dict[str, Address]:
    """Everybody who can have money, by name; `court` is its account in the ledger."""
    first, second = world.providers
    keys = {
        "buyer": world.buyer, "signer": world.ledger.voucher_signer, "provider": first, "second": second,
        "stranger": world.stranger, "matcher": world.ledger.matcher, "neighbour": world.neighbour,
    }  # fmt: skip
    jurors = {f"juror {number}": key.address for number, key in enumerate(world.jurors)}
    return {name: key.address for name, key in keys.items()} | jurors | {"court": world.court}


def _purses(world: CourtWorld) -> dict[str, Purse]:
    """In one request to the node, as there are some twenty parties."""
    people, deployment = parties(world), world.ledger.deployment
    views = (
        ("ComputeLedger", deployment.ledger, "account"),
        (CONTRACT, world.court, "jurorOf"),
        ("TestDollar", deployment.token, "balanceOf"),
    )
    answers = iter(
        world.node.rpc.batch(
            ("eth_call", ({"to": to, "data": to_hex(encode_call(contract, name, who))}, "latest"))
            for who in people.values()
            for contract, to, name in views
        )
    )
    purses = {}
    for name, who in people.items():
        account, juror, wallet = (decode_result(view[0], view[2], from_hex(next(answers)))[0] for view in views)
        # The court's own tokens are the stakes, which are counted where they belong, and what was burned.
        own = 0 if who == world.court else wallet
        purses[name] = Purse(free=account[0], bonded=account[1], stake=juror[0], owed=juror[1], wallet=own)
    return purses


def each(world: CourtWorld, keys: Iterable[LocalKey], purse: Purse) -> dict[str, Purse]:
    """The same for each of them, by name."""
    names = {who: name for name, who in parties(world).items()}
    return {names[key.address]: purse for key in keys}


class Money:
    """Who gained what since it was made, and whether the mirror says the same."""

    def __init__(self, world: CourtWorld, folder: Path) -> None:
        self.world = world
        self.before = Sheet.of(world)
        self.followed = Followed(folder, world.ledger.deployment, world.node.rpc)

    def close(self) -> None:
        self.followed.close()

    def mirrored(self, trial: Trial, state: LeaseState) -> None:
        """The lease is in this state, and a mirror of the ledger holds to its head and to every row."""
        assert trial.state is state
        self.followed.catch_up()
        report = self.followed.verify()
        assert report.holds, [check for check in report.checks if not check.holds] + [report.first]
        assert report.head_proved
        row = self.followed.mirror.lease(trial.leased.id)
        assert row is not None
        assert row.state is state

    def closed(self, *trials: Trial) -> dict[str, Purse]:
        """What everybody gained, and `burned`, after checking that the leases are Closed and no base unit is lost."""
        for trial in trials:
            self.mirrored(trial, LeaseState.CLOSED)
        now = Sheet.of(self.world)
        self._check_mirrored_accounts(now)
        self._check_conserved(now)
        gained = {name: purse - self.before.purses[name] for name, purse in now.purses.items()}
        gained["burned"] = Purse(stake=now.burned - self.before.burned)
        return {name: purse for name, purse in gained.items() if purse != Purse()}

    def _check_mirrored_accounts(self, now: Sheet) -> None:
        for name, who in parties(self.world).items():
            row = self.followed.mirror.account(who)
            assert (row.free_base, row.bonded_base) == (now.purses[name].free, now.purses[name].bonded), name

    def _check_conserved(self, now: Sheet) -> None:
        """With every lease Closed: both contracts hold exactly what they owe, and nothing was made or lost."""
        ledger, court = self.world.ledger.deployment.ledger, self.world.court
        purses = list(now.purses.values())
        assert self.world.view_token("balanceOf", ledger) == sum(purse.free + purse.bonded for purse in purses)
        assert self.world.view_token("balanceOf", court) == sum(purse.stake for purse in purses) + now.burned
        assert now.purses["court"].free == sum(purse.owed for purse in purses)
        assert all(purse.bonded == 0 for purse in purses), "every bond is free"
        # What the court owes is in its own account, so it is counted there and with the jurors.
        held = sum(purse.total() - purse.owed for purse in purses) + now.burned
        assert held == self.world.view_token("totalSupply")
