"""The composition root: everything a request or a task needs, built once from the settings."""

import threading
from functools import cached_property
from typing import TYPE_CHECKING

from backend.accounts.hosted_keys import HostedKeys
from backend.accounts.sign_in_rules import SignInRules
from backend.db import Database
from backend.events import recording
from backend.files.store import FileStore
from backend.leases.onchain import LeasesOnChain
from backend.limits import RateLimits
from backend.matching.leaving import Absent
from backend.offers.live import LiveBook
from backend.offers.presence import Presence
from backend.operations.listening import Listening
from backend.operations.settings import OperationsSettings
from backend.settings import MarketSettings
from backend.submission.node import Node
from backend.submission.nodes import Nodes
from backend.submission.openings import Watch
from indexer.queries import Mirror
from protocol.deployment import Deployment, load_deployment
from protocol.keys import LocalKey, load_raw_key
from protocol.messages import Domain

if TYPE_CHECKING:
    # Compiled loops, which few processes need.
    from backend.matching.index import OfferIndex

DEV_CHAINS = (31337, 1337)


class Market:
    """Settings, databases, keys and chain of one running process."""

    def __init__(self, settings: MarketSettings) -> None:
        self.settings = settings
        self.deployment: Deployment = load_deployment(settings.deployment)
        self.db = Database(settings.market_url)
        recording.install(self.db)
        #: set once this process was told to stop: whoever only waits answers now
        self.draining = threading.Event()
        #: of the last auction in this process: in the next one few offers are others
        self.offer_index: OfferIndex | None = None
        self.files = FileStore(settings.files_dir, settings.max_file_bytes, reserve_bytes=settings.files_reserve_bytes)

    @cached_property
    def limits(self) -> RateLimits:
        return RateLimits(self.settings)

    @cached_property
    def operations(self) -> OperationsSettings:
        return OperationsSettings()

    @cached_property
    def mirror(self) -> Mirror:
        return Mirror(self.settings.mirror_url)

    @cached_property
    def live_book(self) -> LiveBook:
        return LiveBook(self.mirror, self.listening, self.settings.silence_seconds)

    @cached_property
    def presence(self) -> Presence:
        return Presence(self.db, self.settings.silence_seconds)

    @cached_property
    def listening(self) -> Listening:
        return Listening(self.db, self.settings.silence_seconds, self.settings.excused_seconds)

    @cached_property
    def leases_on_chain(self) -> LeasesOnChain:
        return LeasesOnChain(self.mirror)

    @cached_property
    def absent(self) -> Absent:
        return Absent()

    @cached_property
    def openings(self) -> Watch:
        return Watch(self.mirror)

    @cached_property
    def hosted(self) -> HostedKeys:
        return HostedKeys(self.settings.seed_file)

    @cached_property
    def submission_key(self) -> LocalKey:
        return load_raw_key(self.settings.submission_key_file)

    @cached_property
    def settlement_key(self) -> LocalKey:
        """The submission key, if no other is named."""
        path = self.settings.settlement_key_file
        return self.submission_key if path is None else load_raw_key(path)

    @cached_property
    def nodes(self) -> Nodes:
        return Nodes([Node(url) for url in self.settings.rpc_urls], self.deployment)

    @property
    def domain(self) -> Domain:
        return self.deployment.domain

    @property
    def is_test_chain(self) -> bool:
        return self.deployment.chain_id in DEV_CHAINS

    @property
    def sign_in_rules(self) -> SignInRules:
        origin = self.settings.origin
        return SignInRules(domain=origin.split("://", 1)[1], uri=origin, chain_id=self.deployment.chain_id)
