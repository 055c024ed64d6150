"""Ringing, against a real Redis."""

import base64
import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from celery import Celery
from kombu import Message
from kombu.exceptions import ContentDisallowed

from broker.app import PRIORITIES, QUEUES
from broker.doorbell import is_dry, ring
from broker.errors import RedisUnreachable
from broker.redis_server import RedisServer


@dataclass(frozen=True)
class Bell:
    chunk_id: int
    kind: str = "score"
    priority: str = "normal"


def messages(client: redis.Redis) -> list[dict]:
    lists = [key for key in client.keys("*") if client.type(key) == b"list"]
    return [json.loads(entry) for key in sorted(lists) for entry in client.lrange(key, 0, -1)]


def received(app: Celery, name: str) -> list[int]:
    """Chunk ids of every message in a queue, in the order they are served; takes them out."""
    served = []
    with app.connection_for_read() as connection:
        queue = next(queue for queue in app.conf.task_queues if queue.name == name)
        bound = queue(connection.default_channel)
        while message := bound.get(no_ack=True):
            served.append(message.payload[0][0])
    return served


def test_a_message_is_a_task_and_a_chunk_id_and_nothing_else(app: Celery, client: redis.Redis) -> None:
    assert ring(app, [Bell(7)]) == 1
    (message,) = messages(client)
    assert message["headers"]["task"] == "reviewmill.score_chunk"
    arguments, keywords, _ = json.loads(base64.b64decode(message["body"]))
    assert (arguments, keywords) == ([7], {})
    assert message["content-type"] == "application/json"


def test_each_kind_has_its_queue(app: Celery) -> None:
    ring(app, [Bell(1), Bell(2), Bell(3, kind="finetune")])
    assert {kind: is_dry(app, kind) for kind in QUEUES} == {"score": False, "finetune": False}
    assert received(app, "train") == [3]
    assert {kind: is_dry(app, kind) for kind in QUEUES} == {"score": False, "finetune": True}


@pytest.mark.parametrize("priority", PRIORITIES)
def test_a_queue_with_a_message_of_any_priority_is_not_dry(app: Celery, priority: str) -> None:
    assert is_dry(app, "score")
    ring(app, [Bell(1, priority=priority)])
    assert not is_dry(app, "score")
    assert received(app, "score") == [1]
    assert is_dry(app, "score")


def test_a_wiped_redis_is_rung_again(app: Celery, client: redis.Redis) -> None:
    ring(app, [Bell(1)])
    client.flushall()
    assert is_dry(app, "score")
    assert ring(app, [Bell(2)]) == 1
    assert received(app, "score") == [2]


def test_a_redis_that_is_away_is_no_dry_queue(app: Celery, server: RedisServer) -> None:
    server.stop()
    with pytest.raises(RedisUnreachable):
        is_dry(app, "score")


def test_the_higher_priority_is_served_first(app: Celery) -> None:
    ring(app, [Bell(1, priority="low"), Bell(2), Bell(3, priority="high"), Bell(4, priority="high")])
    assert received(app, "score") == [3, 4, 2, 1]


def test_redis_away_is_no_error(app: Celery, server: RedisServer) -> None:
    server.stop()
    assert ring(app, [Bell(1)]) == 0


class Trap:
    """What opens it when it is unpickled leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_only_json_is_sent_and_only_json_is_heard(app: Celery, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    sent = {
        "application/x-python-serialize": pickle.dumps(Trap(sprung)),
        "application/x-yaml": f"!!python/object/apply:pathlib.Path.touch [{sprung}]",
        "application/x-msgpack": b"\x91\x07",
        "text/plain": "[[7], {}, {}]",
        "application/data": b"[[7], {}, {}]",
    }
    heard: list[object] = []
    refused: list[type[Exception]] = []

    def refuse(message: Message, error: Exception) -> None:
        message.ack()
        refused.append(type(error))

    (queue,) = (queue for queue in app.conf.task_queues if queue.name == "score")
    with app.connection_for_write() as connection:
        producer = app.amqp.Producer(connection)
        for content_type, body in sent.items():
            encoding = "utf-8" if isinstance(body, str) else "binary"
            producer.publish(body, content_type=content_type, content_encoding=encoding, routing_key="score")
        # As a worker listens: it takes what it accepts from the app.
        consumer = app.amqp.TaskConsumer(connection, queues=[queue], on_decode_error=refuse)
        consumer.register_callback(lambda body, message: heard.append(body))
        with consumer:
            for _ in sent:
                connection.drain_events(timeout=10)
    # Of the last kind nothing is decoded at all: bytes are no message of ours.
    assert (heard, refused) == ([sent["application/data"]], [ContentDisallowed] * 4)
    assert not sprung.exists()


def test_no_other_serializer_is_let_in_anywhere(app: Celery) -> None:
    settings = app.conf
    assert settings.accept_content == settings.result_accept_content == ["json"]
    for name in ("task_serializer", "result_serializer", "event_serializer"):
        assert settings[name] == "json", name
    assert (settings.result_backend, settings.worker_enable_remote_control) == (None, False)
