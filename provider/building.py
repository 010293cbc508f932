"""Puts an agent together from its settings: the one place where its parts meet."""

from protocol.chain import Chain
from protocol.hashing import to_hex
from protocol.keys import LocalKey
from protocol.messages import digest
from provider.agent import Agent
from provider.detect import detect
from provider.joining import open_chain, open_key
from provider.market import HttpMarket
from provider.offers import StandingOffer, lanes_for
from provider.runtimes.engine import RUNTIME_ID
from provider.runtimes.wasi_det import WasiDet
from provider.serving import Server
from provider.settings import AgentSettings
from provider.visit import Site


def build_agent(settings: AgentSettings) -> Agent:
    """An agent that is ready to run; raises if its key, market or chain is not as joined."""
    key, market, chain = _neighbours(settings)
    site = Site(
        key=key,
        domain=chain.deployment.domain,
        ledger=chain,
        market=market,
        runtimes={RUNTIME_ID: WasiDet(settings.data_dir / "modules")},
        memory_bytes=settings.memory_bytes,
    )
    return Agent(
        settings=settings,
        me=key.address,
        ledger=chain,
        market=market,
        offer=_offer(settings, key, market, chain),
        server=Server(site, settings.data_dir / "leases"),
    )


def standing_offer(settings: AgentSettings) -> StandingOffer:
    """The agent's offer, to look after it from a command."""
    return _offer(settings, *_neighbours(settings))


def post_offer(settings: AgentSettings) -> str:
    """Signs and posts the offer; its digest."""
    key, market, chain = _neighbours(settings)
    offer = _offer(settings, key, market, chain)
    posted = offer.ensure(epoch=chain.account(key.address).epoch, now_time=chain.latest().time)
    return to_hex(digest(chain.deployment.domain, posted))


def _neighbours(settings: AgentSettings) -> tuple[LocalKey, HttpMarket, Chain]:
    key = open_key(settings)
    market = HttpMarket(settings.market_url, key)
    return key, market, open_chain(settings, market.chain())


def _offer(settings: AgentSettings, key: LocalKey, market: HttpMarket, chain: Chain) -> StandingOffer:
    lanes = lanes_for(settings.memory_bytes, detect(settings.data_dir).quantities())
    return StandingOffer(settings, key, chain.deployment.domain, market, lanes)
