"""Where Flower finds Redis. The password is in a file, so that it stands in no environment and no command line."""

import os
from pathlib import Path
from urllib.parse import quote

from kombu import Queue

_user = os.environ["REDIS_USER"]
_password = quote(Path(os.environ["REDIS_PASSWORD_FILE"]).read_text().strip(), safe="")
broker_url = f"redis://{_user}:{_password}@{os.environ['REDIS_ADDRESS']}"
# As in broker/app.py.
broker_transport_options = {"global_keyprefix": "reviewmill:", "ack_emulation": False}
task_queues = [Queue("score"), Queue("train")]
task_default_queue = "score"
