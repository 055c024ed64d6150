"""The views say the same on both databases, and what docs/results.md says they do."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import inspect, text

from db.database import Database
from db.predictions import Scored, store_predictions
from db.promotion import promote
from db.registry import register_model
from db.reviews import store_reviews
from db.schema import upgrade
from tests.db.planted import MONDAY, SOURCE, Planted, plant
from tests.samples import SomeReview, facts, verdict
