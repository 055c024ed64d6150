"""A token budget is remembered for one model on one device under one setting."""

from db.budgets import find_budget, remember_budget
from db.database import Database
from db.registry import RegisteredModel


def test_a_budget_is_remembered_until_the_setting_changes(database: Database, model: RegisteredModel) -> None:
    with database.write() as connection:
        assert find_budget(connection, model.id, "gpu0@host", 4096) is None
        remember_budget(connection, model.id, "gpu0@host", 4096, 2048)
        remember_budget(connection, model.id, "gpu0@host", 4096, 1024)
        assert find_budget(connection, model.id, "gpu0@host", 4096) == 1024
        assert find_budget(connection, model.id, "gpu1@host", 4096) is None
        assert find_budget(connection, model.id, "gpu0@host", 8192) is None
        remember_budget(connection, model.id, "gpu0@host", 8192, 4096)
        assert find_budget(connection, model.id, "gpu0@host", 8192) == 4096
