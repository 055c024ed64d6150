"""What a statement was to store or to look for is part of no error, and so of no log: texts of reviews, URLs."""

import traceback

import pytest
from sqlalchemy import text

from db.database import Database

BROKEN = ("INSERT INTO nowhere VALUES (:value)", "SELECT count(*) FROM reviews WHERE id = :value AND nothing = 1")

SECRET = "https://me:s3cret@host"


@pytest.mark.parametrize("statement", BROKEN)
def test_errors_tell_no_values(database: Database, statement: str) -> None:
    with pytest.raises(Exception, match=r"nowhere|nothing") as caught, database.write() as connection:
        connection.execute(text(statement), {"value": SECRET})
    told = "".join(traceback.format_exception(caught.value))
    assert SECRET not in told
    assert "parameters hidden" in told
