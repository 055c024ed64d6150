"""The Celery app: its queues, its tasks' names and the settings that make Redis behave."""

from celery import Celery
from kombu import Exchange, Queue

from broker.tls import with_checks

#: A task's name and its queue, by the kind of job whose chunks it works on.
TASKS = {"score": "reviewmill.score_chunk", "finetune": "reviewmill.train_chunk"}
QUEUES = {"score": "score", "finetune": "train"}
#: Celery on Redis serves the lower number first.
PRIORITIES = {"high": 0, "normal": 3, "low": 6}

#: Without it a publish on a half-open connection blocks for ever.
_SOCKET_TIMEOUT_S = 15
_CONNECT_TIMEOUT_S = 3
_TRANSPORT_OPTIONS: dict[str, object] = {
    "global_keyprefix": "reviewmill:",
    # What a dead worker held is rung again from SQL. A second book of it in Redis would hand long chunks out twice, and
    # would have workers run Lua there, which no user of ours may.
    "ack_emulation": False,
    "socket_timeout": _SOCKET_TIMEOUT_S,
    "socket_connect_timeout": _CONNECT_TIMEOUT_S,
    "socket_keepalive": True,
    "health_check_interval": 15,
    "queue_order_strategy": "priority",
}


def make_app(url: str) -> Celery:
    """A Celery app on the Redis at `url`, with the two queues `score` and `train` and no result backend.

    Raises InsecureRedis.
    """
    app = Celery("reviewmill", broker=with_checks(url), set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        result_accept_content=["json"],
        task_serializer="json",
        event_serializer="json",
        result_serializer="json",
        task_ignore_result=True,
        task_acks_late=True,
        task_create_missing_queues=False,
        # A message goes to the queue that it names. Declared queues would be bound to their exchanges in a table in
        # Redis, which gets lost with Redis, and which somebody could bend.
        task_queues=[Queue(name, Exchange(name), routing_key=name, no_declare=True) for name in QUEUES.values()],
        # A message is taken when a slot is free, and by nothing else: under a prefetch count too, messages whose
        # acknowledgements were lost with Redis fill it, and the consumer never reads, nor reconnects, again.
        worker_prefetch_multiplier=0,
        worker_disable_prefetch=True,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        # For ever: a Redis that is away for a night is no reason for a worker to go.
        broker_connection_max_retries=None,
        broker_transport_options=_TRANSPORT_OPTIONS,
    )
    return app
