"""Flower's own options: who may look."""

import os
from pathlib import Path

basic_auth = [f"flower:{Path(os.environ['FLOWER_PASSWORD_FILE']).read_text().strip()}"]
# Workers send no events and take no commands (broker/app.py): what Flower shows is the queues.
enable_events = False
