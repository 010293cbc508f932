"""Celery wakes, the database remembers (threats Q1 to Q4): one task is one batch, losing the broker loses a second.

The same task code runs on the embedded folder broker and, by GRIDLEASE_BROKER_URL, on Redis or RabbitMQ.
"""

import threading
from functools import cache
from pathlib import Path
from socket import gethostname
from typing import Any, Final

import structlog
from celery import Celery
from celery.signals import beat_embedded_init, setup_logging, worker_process_init, worker_ready, worker_shutdown
from kombu import Queue
from prometheus_client import start_http_server
from sqlalchemy.exc import DBAPIError

from backend import wake
from backend.broker import SCHEME
from backend.market import Market
from backend.operations import ticks
from backend.operations.collector import collect_seldom
from backend.operations.metrics import REGISTRY
from backend.operations.pace import Pace
from backend.operations.running import run_work
from backend.operations.settings import OperationsSettings
from backend.operations.sweeper import Sweeper
from backend.operations.watchdog import TASK_SECONDS, Watchdog
from backend.settings import MarketSettings
from backend.wake import EXPIRES_SECONDS, QUEUE
from backend.works import WORKS, Work
from protocol.logs import configure_logs

log = structlog.get_logger()

CANARY: Final = "market.canary"
_CANARY_EXPIRES_SECONDS: Final = 60
VISIBILITY_SECONDS: Final = 120
"""Redis gives a message that was not acknowledged for so long to another worker; no task may run as long."""

_CONNECT_SECONDS: Final = 4
_HEARTBEAT_SECONDS: Final = 30
_SOFT_SHUTDOWN_SECONDS: Final = 10.0
_LONGEST_SECONDS: Final = 60.0


def broker_options(url: str) -> dict[str, Any]:
    """How Celery reaches the broker; a folder is polled every 50 ms."""
    if url.startswith(("redis://", "rediss://")):
        # A broker that does not answer must not hold whoever rings.
        waits = {"socket_connect_timeout": _CONNECT_SECONDS, "socket_timeout": 3 * _CONNECT_SECONDS}
        # Who rings tries again at once, and then leaves it to the sweeper.
        tries = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1}
        options = {"visibility_timeout": VISIBILITY_SECONDS, "socket_keepalive": True, **waits, **tries}
        return {"broker_url": url, "broker_transport_options": options}
    if not url.startswith("filesystem://"):
        return {"broker_url": url}
    folder = Path(url.removeprefix("filesystem://"))
    queue, control = folder / "queue", folder / "control"
    for path in (queue, control):
        path.mkdir(parents=True, exist_ok=True)
    return {
        "broker_url": f"{SCHEME}://localhost",
        "broker_transport_options": {
            "data_folder_in": str(queue),
            "data_folder_out": str(queue),
            "control_folder": str(control),
            "polling_interval": 0.05,
            "store_processed": False,
        },
    }


def create_worker(settings: MarketSettings) -> Celery:
    """The Celery app; beat runs inside the embedded worker, and inside as many workers as there are at scale."""
    app = Celery("gridlease")
    app.conf.update(
        **broker_options(settings.broker_url),
        # Results live in the database, as rows.
        result_backend=None,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        # The three places where Redis' time may be set; the shortest would count.
        visibility_timeout=VISIBILITY_SECONDS,
        result_backend_transport_options={"visibility_timeout": VISIBILITY_SECONDS},
        task_time_limit=int(TASK_SECONDS),
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        # No queue has an exchange of its own: a broker that comes back empty has no bindings to miss.
        task_queues=[Queue(QUEUE, exchange="", routing_key=QUEUE)],
        task_default_queue=QUEUE,
        task_default_exchange="",
        task_default_routing_key=QUEUE,
        # A ring is worth nothing after a restart.
        task_default_delivery_mode="transient",
        broker_connection_timeout=_CONNECT_SECONDS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_heartbeat=_HEARTBEAT_SECONDS,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_soft_shutdown_timeout=_SOFT_SHUTDOWN_SECONDS,
        worker_enable_soft_shutdown_on_idle=True,
        # Nobody commands workers through the broker.
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        timezone="UTC",
        beat_scheduler="backend.operations.clock:Clock",
        beat_schedule={
            work.name: {
                "task": work.name,
                # Asked often, rung seldom: the database knows when it was due, also over a restart.
                "schedule": min(work.every_ms / 1000, _LONGEST_SECONDS),
                "options": {"expires": EXPIRES_SECONDS},
            }
            for work in WORKS
        },
    )
    return app


celery_app = create_worker(MarketSettings())
_watchdog = Watchdog()


@cache
def _market() -> Market:
    return Market(MarketSettings())


@worker_process_init.connect
@beat_embedded_init.connect
def _forget_inherited(**_: object) -> None:
    # A forked child must not share its parent's database connections.
    _market.cache_clear()


@setup_logging.connect
def _log_as_all_do(**_: object) -> None:
    configure_logs()


class _Apart:
    """Runs a work on a thread of its own, one run at a time; who asks meanwhile is served by the run that is on."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._running = threading.Lock()

    def begin(self, market: Market) -> None:
        if self._running.acquire(blocking=False):
            threading.Thread(target=self._run, args=(market,), name=self._work.name, daemon=True).start()

    def _run(self, market: Market) -> None:
        try:
            run_work(market, self._work)
        finally:
            self._running.release()


def _register(work: Work) -> None:
    apart = _Apart(work) if work.is_apart else None
    pace = Pace()

    @celery_app.task(name=work.name, ignore_result=True, bind=True)
    def run(task: Any) -> None:
        if apart is not None:
            apart.begin(_market())
            return
        if pace.has_served(wake.rung_time(task.request.expires)):
            return
        _watchdog.began()
        try:
            with pace.run():
                run_work(_market(), work)
        finally:
            _watchdog.ended()


for _work in WORKS:
    _register(_work)


@celery_app.task(name=CANARY, ignore_result=True)
def hear_canary() -> None:
    """The worker is given messages."""
    _watchdog.vigil.heard()
    try:
        ticks.note_pulse(_market().db, "worker")
    except DBAPIError as error:
        log.warning("pulse.lost", error=type(error.orig).__name__)


def run_worker(settings: MarketSettings, *, beat: bool, pulse_file: Path | None, node: str | None) -> None:
    """Works until SIGTERM; a task that runs then is finished first."""
    queue = f"canary.{node or gethostname()}"
    # RabbitMQ forgets the queue of a worker that is gone; elsewhere its few messages stay.
    own = Queue(queue, exchange="", routing_key=queue, expires=10 * _CANARY_EXPIRES_SECONDS)
    celery_app.amqp.queues.add(own)

    def send_canary() -> bool:
        return wake.ring(CANARY, queue=queue, expires_seconds=_CANARY_EXPIRES_SECONDS)

    collect_seldom()
    sweeper = Sweeper(lambda: Market(settings))

    @worker_ready.connect(weak=False)
    def _begin(**_: object) -> None:
        _watchdog.start(send_canary, pulse_file)
        sweeper.start()

    @worker_shutdown.connect(weak=False)
    def _end(**_: object) -> None:
        _watchdog.stop()
        sweeper.stop()

    if metrics_port := OperationsSettings().worker_metrics_port:
        start_http_server(metrics_port, OperationsSettings().worker_metrics_host, REGISTRY)
    arguments = ["worker", "--pool", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    arguments += ["--loglevel", "warning", "--queues", f"{QUEUE},{queue}"]
    if node:
        arguments += ["--hostname", f"{node}@%h"]
    if beat:
        arguments += ["--beat"]
    celery_app.worker_main(arguments)
