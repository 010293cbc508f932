"""A whole market in one process, moved by hand: real node, ledger, mirror, database and HTTP, simulated agents.

Nothing happens by itself: `step` runs the market's step, `mine` a block and the mirror. What it did can be cut off at
any statement to its database, as a kill would, and the next process begins from what is stored.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
from sqlalchemy import event
from sqlmodel import col, select, update

from backend import step
from backend.app import create_app
from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention, UsageRow
from backend.market import Market
from backend.offers.tables import ProviderRow
from backend.settings import MarketSettings
from backend.submission.plan import UNDER_WAY
from backend.submission.tables import IntentRow, TransactionRow
from protocol.calls import encode_call, signed_voucher
from protocol.chain import Chain
from protocol.clock import now_at, now_milliseconds, now_time
from protocol.deployment import Deployment
from protocol.hashing import ZERO_ADDRESS, ZERO_HASH, Address, cid_of, from_hex, keccak256, sha256, to_hex
from protocol.ids import lease_id
from protocol.keys import LocalKey
from protocol.manifest import Manifest
from protocol.messages import digest, from_json, sign, to_json
from protocol.resources import Quantities, pack_traits
from protocol.results import JobResult, TraceLeaf
from protocol.signin import sign_in_message, sign_text
from protocol.terms import Offer, Order, UsageReceipt, Voucher
from protocol.units import METER_WORK, earned_down
from protocol.wire.accounts import NonceAnswer
from protocol.wire.jobs import ENDED
from tests.support.anvil import BUYER, DEPLOYER, MATCHER, Anvil
from tests.support.followed import Followed
from tests.support.ledger_world import DOLLAR, LedgerWorld
from tests.support.migrated import migrate
from tests.support.statements import heard

SEGMENTS: Final = 2
WORK: Final = 10**8
"""Raw work of each segment."""
MODULE: Final = b"\0asm\1\0\0\0"
CAPACITY: Final = 2
"""Leases that an agent serves at once."""
#: after so many the node calls a block final
_FINAL_BLOCKS: Final = 70
_CAP_BASE: Final = 90 * DOLLAR
_NOTICE_SECONDS: Final = 10
_RATE: Final = 2_000_000


class Killed(BaseException):
    """The process ends here: no handler may see it."""


class Agent:
    """A provider by HTTP; its work is invented, and the same for the same job wherever it runs."""

    def __init__(self, life: "MarketLife", number: int) -> None:
        self._life = life
        self.number = number
        self.key = LocalKey.derive(bytes(32), f"agent {number}")
        self.token = life.sign_in(self.key)
        self.is_away = False
        #: lease → base units of the highest voucher that it holds
        self.held_base: dict[str, int] = {}
        self.terms: Offer | None = None

    def offer(self) -> None:
        self.terms = offer = Offer(
            provider=self.key.address,
            quantities=Quantities(cpu_eighths=64, memory_quarter_gib=64, disk_gib=100).pack(),
            traits=pack_traits(["wasi-det/1"]),
            zone=self.number + 1,
            meter=METER_WORK,
            rate=_RATE + self.number,
            capacity=CAPACITY,
            min_duration=10,
            max_duration=86_400,
            notice=_NOTICE_SECONDS,
            expiry=now_time() + 20 * 24 * 3600,
            epoch=0,
            salt=self.number,
        )
        body = {"offer": to_json(offer), "signature": to_hex(sign(self._life.domain, offer, self.key))}
        self._life.call("POST", "/v1/offers", body, self.token, expect=201)

    def leases(self) -> list[dict[str, Any]]:
        """What the market hints at; asking says that the agent is alive."""
        found: list[dict[str, Any]] = self._life.call("GET", "/v1/provider/leases", token=self.token)["data"]
        return found

    def work(self, leases: list[dict[str, Any]]) -> None:
        """The next segment of each open lease, or the countersignature that it waits for.

        The first agent reports all in one call, and agrees in it to the vouchers that end its leases.
        """
        for lease in leases:
            if lease["last_voucher"] is not None:
                self._countersign(lease["lease"], lease["last_voucher"])
        begun = [lease for lease in leases if lease["last_voucher"] is None and lease["state"] == "open"]
        if self.number == 0:
            self._report_together(begun)
        else:
            for lease in begun:
                self._report(lease)

    def give_up(self, lease: dict[str, Any]) -> None:
        path = f"/v1/provider/leases/{lease['lease']}/failure"
        self._life.call("POST", path, {"reason": "the disk is full"}, self.token, expect=204)

    def _report(self, lease: dict[str, Any]) -> None:
        path = f"/v1/provider/leases/{lease['lease']}/usage-receipts"
        answer = self._life.call("POST", path, self._segment(lease), self.token, may_refuse=True)
        if answer is not None and self._keep(lease["lease"], answer).last:
            self._countersign(lease["lease"], answer)

    def _report_together(self, leases: list[dict[str, Any]]) -> None:
        if not leases:
            return
        reports = [self._agreed(self._segment(lease)) for lease in leases]
        answers = self._life.call("POST", "/v1/provider/usage-receipts", {"reports": reports}, self.token)["data"]
        for lease, answer in zip(leases, answers, strict=True):
            if answer["voucher"] is not None:
                self._keep(lease["lease"], answer["voucher"])
            elif answer["problem"] is not None:
                assert 400 <= answer["problem"]["status"] < 500, answer
                self._life.refused.append(str(answer["problem"]))

    def _agreed(self, report: dict[str, Any]) -> dict[str, Any]:
        if "result" not in report:
            return report
        receipt = from_json(UsageReceipt, report["usage_receipt"])
        last = Voucher(
            lease=receipt.lease,
            provider=self.key.address,
            cumulative=earned_down(METER_WORK, _RATE + self.number, receipt.work),
            result=receipt.result,
            last=True,
        )
        return report | {"countersignature": to_hex(sign(self._life.domain, last, self.key))}

    def _keep(self, lease: str, signed: dict[str, Any]) -> Voucher:
        voucher = from_json(Voucher, signed["voucher"])
        self.held_base[lease] = max(self.held_base.get(lease, 0), voucher.cumulative)
        return voucher

    def _segment(self, lease: dict[str, Any]) -> dict[str, Any]:
        resume = lease["resume"] or {"sequence": 0, "job_work": "0", "lease_work": "0", "trace": []}
        sequence, base = resume["sequence"] + 1, int(resume["job_work"]) - int(resume["lease_work"])
        job_hash = Manifest.parse(lease["manifest"]).job_hash()
        trace = [*resume["trace"], {"state_hash": to_hex(state(job_hash, sequence)), "work": str(sequence * WORK)}]
        checkpoint = state(job_hash, sequence) * 2
        self._life.put_file(checkpoint, self.token)
        body: dict[str, Any] = {"step": trace[-1], "log_text": f"segment {sequence}\n"}
        outcome = state(job_hash, sequence)
        if sequence == SEGMENTS:
            leaves = [
                TraceLeaf(index=i, state_hash=from_hex(one["state_hash"], 32), work=int(one["work"]))
                for i, one in enumerate(trace)
            ]
            result = JobResult(
                job_hash=job_hash,
                status="succeeded",
                exit_code=0,
                outputs=(),
                trace=tuple(leaves),
                work=SEGMENTS * WORK,
            )
            outcome = result.result_hash()
            ended = {"status": "succeeded", "exit_code": 0, "work": str(SEGMENTS * WORK), "outputs": [], "trace": trace}
            body |= {"result": ended}
        receipt = UsageReceipt(
            lease=from_hex(lease["lease"], 32),
            sequence=sequence,
            metered_until=now_milliseconds(),
            work=sequence * WORK - base,
            result=outcome,
            checkpoint=sha256(checkpoint),
        )
        body |= {"usage_receipt": to_json(receipt), "signature": to_hex(sign(self._life.domain, receipt, self.key))}
        return body

    def _countersign(self, lease: str, signed: dict[str, Any]) -> None:
        voucher = self._keep(lease, signed)
        signature = to_hex(self.key.sign_digest(digest(self._life.domain, voucher)))
        path = f"/v1/provider/leases/{lease}/countersign"
        self._life.call("POST", path, {"signature": signature}, self.token, may_refuse=True)


class Rival:
    """Another buyer of the same providers, by another market: what it leases takes their capacity."""

    def __init__(self, life: "MarketLife") -> None:
        self._life = life
        #: by lease
        self._orders: dict[bytes, tuple[Order, Agent]] = {}

    def take(self, agent: Agent, copies: int) -> None:
        """Before anybody else in the next block."""
        assert agent.terms is not None
        domain = self._life.domain
        matches = []
        for _ in range(copies):
            order = self._life.world.order(
                quantity=10**6,
                max_rate=agent.terms.rate,
                voucher_signer=BUYER.address,
                matcher=ZERO_ADDRESS,
                fee=0,
            )
            matches.append((_values(order), sign(domain, order, BUYER), 0, 0))
            self._orders[lease_id(digest(domain, order), 0)] = (order, agent)
        offers = [(_values(agent.terms), sign(domain, agent.terms, agent.key))]
        self._send("open", offers, matches, ZERO_HASH)

    def leave(self) -> None:
        """Its leases end unpaid, by both sides' word."""
        items = []
        for lease, (order, agent) in self._orders.items():
            found = self._life.chain.lease(lease)
            if found is not None and found.state.name != "CLOSED":
                voucher = Voucher(lease=lease, provider=agent.key.address, cumulative=0, result=ZERO_HASH, last=True)
                signed = signed_voucher(voucher, sign(self._life.domain, voucher, BUYER))
                items.append((_values(order), 0, signed, agent.key.sign_digest(digest(self._life.domain, voucher))))
        if items:
            self._send("closeLast", items)

    def locked_base(self) -> int:
        """What its leases hold."""
        found = [self._life.chain.lease(lease) for lease in self._orders]
        return sum(lease.locked_base - lease.paid_base for lease in found if lease and lease.state.name != "CLOSED")

    def _send(self, name: str, *arguments: Any) -> None:
        call = {
            "from": DEPLOYER.address,
            "to": self._life.deployment.ledger,
            "data": to_hex(encode_call("ComputeLedger", name, *arguments)),
            "gas": hex(3_000_000),
            "maxFeePerGas": hex(10**13),
            "maxPriorityFeePerGas": hex(10**12),
        }
        self._life.node.rpc.call("eth_sendTransaction", call)


def _values(message: Offer | Order) -> tuple[Any, ...]:
    return tuple(getattr(message, name) for name in message.TYPES)


class MarketLife:
    """The market with its buyer and agents."""

    def __init__(self, folder: Path, node: Anvil, agents: int = 3) -> None:
        self.world = LedgerWorld.deploy(node)
        self.node = node
        self.followed = Followed(folder / "mirror", self.world.deployment, node.rpc)
        self.followed.catch_up()
        key_file = folder / "submission.key"
        key_file.write_text(to_hex(MATCHER.secret()))
        self.settings = MarketSettings(
            rpc_url=node.url,
            deployment=self.followed.settings.deployment,
            market_url=f"sqlite:///{folder}/market.db",
            mirror_url=self.followed.settings.mirror_url,
            files_dir=folder / "files",
            seed_file=folder / "market.seed",
            submission_key_file=key_file,
            notice_seconds=_NOTICE_SECONDS,
            countersign_seconds=1,
            redeem_after_seconds=1,
            reopen_after_seconds=1,
            finality_blocks=8,
        )
        self._loop = asyncio.new_event_loop()
        #: what the market said no to
        self.refused: list[str] = []
        self.market = self._begin()
        migrate(self.market.db)
        self.chain = Chain(node.url, self.world.deployment)
        session = self.sign_in(BUYER)
        made = self.call("POST", "/v1/keys", {"name": "life"}, session, expect=201)
        self.api_key: str = made["key"]
        self.world.approve_delegate(made["delegate"], _CAP_BASE)
        self.followed.catch_up()
        self.put_file(MODULE, self.api_key)
        self.agents = [Agent(self, number) for number in range(agents)]
        for agent in self.agents:
            agent.offer()
            agent.leases()
        self.jobs: list[str] = []
        self.rival = Rival(self)
        # What was set up stays, whatever is reorganised later; from here on blocks come only when they are asked for.
        self._begun_block = node.rpc.block_number()
        node.mine(16)
        self.followed.catch_up()
        node.rpc.call("evm_setAutomine", False)

    @property
    def domain(self) -> Any:
        return self.world.deployment.domain

    @property
    def deployment(self) -> Deployment:
        return self.world.deployment

    def _begin(self) -> Market:
        market = Market(self.settings)
        self._app = create_app(market)
        return market

    def close(self) -> None:
        self.market.db.close()
        self.followed.close()
        self._loop.close()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str | None = None,
        *,
        expect: int | None = None,
        may_refuse: bool = False,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """The decoded answer; None where a refusal (4xx) is as good as an answer. Anything else fails the test."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://market.test") as client:
                sent = ({"authorization": f"Bearer {token}"} if token else {}) | (headers or {})
                content = {"content": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
                return await client.request(method, path, headers=sent, **content)

        answer = self._loop.run_until_complete(ask())
        # What it left to be done, such as to note who called, would stand still in the middle of its transaction.
        if left := asyncio.all_tasks(self._loop):
            self._loop.run_until_complete(asyncio.wait(left))
        if may_refuse and 400 <= answer.status_code < 500:
            self.refused.append(answer.text)
            return None
        assert answer.is_success, (method, path, answer.text)
        assert expect in (None, answer.status_code), (method, path, answer.status_code)
        return answer.json() if answer.content else None

    def sign_in(self, key: LocalKey) -> str:
        asked = NonceAnswer.model_validate(self.call("POST", "/v1/auth/nonce"))
        message = sign_in_message(asked, key.address, now_at())
        body = {"message": message, "signature": to_hex(sign_text(key, message))}
        return str(self.call("POST", "/v1/auth/verify", body)["token"])

    def put_file(self, content: bytes, token: str) -> str:
        cid = cid_of(sha256(content))
        self.call("PUT", f"/v1/files/{cid}", content, token)
        return cid

    def buy(self) -> str | None:
        """A job of two segments; its id, or None where it was refused."""
        manifest = {
            "version": 1,
            "runtime": "wasi-det/1",
            "module": cid_of(sha256(MODULE)),
            "arguments": [str(len(self.jobs))],
            "limits": {"memory_bytes": 2**26, "work": SEGMENTS * WORK, "wall_seconds": 60, "output_bytes": 0},
            "segments": SEGMENTS,
            "verify": "none",
        }
        body = {"manifest": manifest, "max_price": "0.01", "duration_seconds": 3600, "max_leases": 4}
        key = {"idempotency-key": f"life-{len(self.jobs)}"}
        job = self.call("POST", "/v1/jobs", body, self.api_key, may_refuse=True, headers=key)
        if job is None:
            return None
        self.jobs.append(job["id"])
        return str(job["id"])

    def cancel(self, job: str) -> None:
        self.call("POST", f"/v1/jobs/{job}/cancel", token=self.api_key)

    def job(self, job: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/v1/jobs/{job}", token=self.api_key)
        return found

    def step(self) -> None:
        assert step.run(self.market)

    def step_until_killed(self, statements: int) -> None:
        """The process dies at its n-th statement or commit, if the step has so many; the next one begins."""
        with suppress(Killed), self._dying(statements):
            step.run(self.market)
        self.market.db.close()
        self.market = self._begin()

    @contextmanager
    def _dying(self, statements: int) -> Iterator[None]:
        left = statements

        def count(*_: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed

        engine = self.market.db.engine
        event.listen(engine, "commit", count)
        try:
            with heard(engine, count):
                yield
        finally:
            event.remove(engine, "commit", count)

    def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.node.mine()
        self.followed.catch_up()

    def reorg(self, depth: int, taken: Agent | None = None) -> None:
        """The newest blocks are replaced by empty ones: their transactions are gone until somebody sends them again.

        The one that is taken has no room any more when they are.
        """
        self.node.reorg(min(depth, self.node.rpc.block_number() - self._begun_block))
        if taken is not None:
            self.rival.take(taken, CAPACITY)
        self.mine()

    def silence(self, agent: Agent) -> None:
        """The agent is not heard any more."""
        agent.is_away = True
        with self.market.db.write() as session:
            session.exec(update(ProviderRow).where(col(ProviderRow.address) == agent.key.address).values(heard_time=0))

    def everybody(self) -> list[Address]:
        """All who can have money in the ledger."""
        return [BUYER.address, MATCHER.address, *[agent.key.address for agent in self.agents]]

    def check_money(self) -> None:
        """What is in the ledger belongs to somebody; nobody was paid more than was vouched for."""
        accounts = {who: self.chain.account(who) for who in self.everybody()}
        with self.market.db.read() as session:
            ours = set(session.exec(select(IntentRow.subject)))
            vouched: dict[tuple[str, str], int] = {}
            for row in session.exec(select(UsageRow)):
                vouched[row.lease, row.provider] = max(vouched.get((row.lease, row.provider), 0), row.cumulative_base)
        leases = {lease: self.chain.lease(from_hex(lease, 32)) for lease in ours}
        opened = {lease: found for lease, found in leases.items() if found is not None}
        kept = sum(found.locked_base - found.paid_base for found in opened.values() if found.state.name != "CLOSED")
        kept += self.rival.locked_base()
        free = sum(account.free_base + account.bonded_base for account in accounts.values())
        held = self._token_balance(self.deployment.ledger)
        assert free + kept == held, f"accounts hold {free}, leases {kept}, the ledger's tokens are {held}"
        for lease, found in opened.items():
            most = vouched.get((lease, found.provider), 0)
            assert found.paid_base <= most, f"{lease} was paid {found.paid_base} of {most}"
        for agent in self.agents:
            paid = sum(found.paid_base for found in opened.values() if found.provider == agent.key.address)
            assert accounts[agent.key.address].free_base == paid

    def _token_balance(self, who: Address) -> int:
        data = to_hex(encode_call("TestDollar", "balanceOf", who))
        return int(self.node.rpc.call("eth_call", {"to": self.deployment.token, "data": data}, "latest"), 16)

    def come_to_rest(self) -> None:
        """Everybody does what is theirs until nothing is left to do; fails where something is stuck."""
        for agent in self.agents:
            agent.is_away = False
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for agent in self.agents:
                agent.work(agent.leases())
            self.step()
            if not self._under_way():
                # What a reorg dropped has come back by now, and found the rival there.
                self.rival.leave()
            self.node.rpc.call("evm_increaseTime", 2)
            self.mine()
            if self._rests():
                break
        else:
            raise AssertionError(f"not at rest: {self._unrest()}; refused last: {self.refused[-3:]}")
        # As many blocks as make everything final; the mirror asks every two seconds what is.
        self.node.mine(_FINAL_BLOCKS)
        while self._not_final():
            assert time.monotonic() < deadline + 30, self._not_final()
            self.mine()
            self.step()

    def _under_way(self) -> list[int | None]:
        with self.market.db.read() as session:
            waiting = col(TransactionRow.state).in_(UNDER_WAY)
            return list(session.exec(select(TransactionRow.id).where(waiting)))

    def _not_final(self) -> list[str]:
        with self.market.db.read() as session:
            rows = session.exec(select(IntentRow).where(col(IntentRow.state).not_in(("done", "dropped"))))
            return [f"{row.kind} {row.subject} {row.state}" for row in rows]

    def _rests(self) -> bool:
        return not self._unrest()

    def _unrest(self) -> list[str]:
        with self.market.db.read() as session:
            jobs = [f"job {row.id} {row.state}" for row in session.exec(select(JobRow)) if row.state not in ENDED]
            # An open that was mined waits for nothing but its finality.
            mined = select(TransactionRow.id).where(col(TransactionRow.state).not_in(UNDER_WAY))
            waits = (col(IntentRow.state) == "pending") | (
                (col(IntentRow.state) == "assigned")
                & ((col(IntentRow.kind) != "open") | col(IntentRow.transaction_id).not_in(mined))
            )
            intents = [f"{row.kind} {row.subject} {row.state}" for row in session.exec(select(IntentRow).where(waits))]
            known = {row.lease for row in session.exec(select(LeaseIntention))}
            ours = [from_hex(lease, 32) for lease in set(session.exec(select(IntentRow.subject)))]
        on_chain = self.followed.mirror.leases_by_id(ours)
        leases = [
            f"lease {to_hex(row.lease)} {row.state.name}" for row in on_chain.values() if row.state.name != "CLOSED"
        ]
        leases += [f"lease {lease} gone" for lease in known if from_hex(lease, 32) not in on_chain]
        return [*jobs, *intents, *leases]

    def check_books(self) -> None:
        """At rest: database = mirror = contract, and each job cost what its leases were paid."""
        report = self.followed.verify()
        assert report.holds, report
        for job in map(self.job, self.jobs):
            paid = sum(int(lease["paid_base"]) for lease in job["leases"])
            assert int(job["cost_base"]) == paid, job
        for agent in self.agents:
            for lease, held in agent.held_base.items():
                found = self.chain.lease(from_hex(lease, 32))
                # A reorg can give the lease to nobody or to another, for whom the voucher is not.
                if found is not None and found.provider == agent.key.address:
                    assert found.paid_base == min(held, found.locked_base), (lease, held, found)


def state(job_hash: bytes, sequence: int) -> bytes:
    """The state after a segment, the same for every agent."""
    return keccak256(job_hash + sequence.to_bytes(4, "big"))
