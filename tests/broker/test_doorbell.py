"""Ringing, against a real Redis."""

import base64
import json
from dataclasses import dataclass

import redis
from celery import Celery

from broker.app import PRIORITIES, QUEUES, make_app
from broker.doorbell import ring, waiting_messages
from broker.redis_server import RedisServer


@dataclass(frozen=True)
class Bell:
    chunk_id: int
    kind: str = "score"
    priority: str = "normal"


def messages(client: redis.Redis) -> list[dict]:
    lists = [key for key in client.keys("*") if client.type(key) == b"list"]
    return [json.loads(entry) for key in sorted(lists) for entry in client.lrange(key, 0, -1)]


def test_a_message_is_a_task_and_a_chunk_id_and_nothing_else(app: Celery, client: redis.Redis) -> None:
    assert ring(app, [Bell(7)]) == 1
    (message,) = messages(client)
    assert message["headers"]["task"] == "reviewmill.score_chunk"
    arguments, keywords, _ = json.loads(base64.b64decode(message["body"]))
    assert (arguments, keywords) == ([7], {})
    assert message["content-type"] == "application/json"


def test_each_kind_has_its_queue(app: Celery) -> None:
    ring(app, [Bell(1), Bell(2), Bell(3, kind="finetune")])
    assert {kind: waiting_messages(app, kind) for kind in QUEUES} == {"score": 2, "finetune": 1}


def test_messages_of_every_priority_are_counted(app: Celery) -> None:
    ring(app, [Bell(number, priority=name) for number, name in enumerate(PRIORITIES)])
    assert waiting_messages(app, "score") == 3


def test_the_higher_priority_is_served_first(app: Celery) -> None:
    ring(app, [Bell(1, priority="low"), Bell(2), Bell(3, priority="high"), Bell(4, priority="high")])
    served = []
    with app.connection_for_read() as connection:
        queue = next(queue for queue in app.conf.task_queues if queue.name == "score")
        bound = queue(connection.default_channel)
        while message := bound.get(no_ack=True):
            served.append(message.payload[0][0])
    assert served == [3, 4, 2, 1]


def test_redis_away_is_no_error(app: Celery, server: RedisServer) -> None:
    server.stop()
    assert ring(app, [Bell(1)]) == 0


def test_only_json_is_accepted() -> None:
    assert make_app("redis://localhost").conf.accept_content == ["json"]
