"""How many tokens of a model a device takes in one batch: measured, or learned by running out of memory."""

from sqlalchemy import Connection, select

from db.clock import utc_now
from db.dialect import insert
from db.tables import TokenBudget


def find_budget(connection: Connection, model_id: int, device: str, configured: int) -> int | None:
    """The tokens remembered under this setting, 0 standing for auto; None where there are none."""
    return connection.scalar(
        select(TokenBudget.tokens).where(
            TokenBudget.model_id == model_id, TokenBudget.device == device, TokenBudget.configured == configured
        )
    )


def budgets_of(connection: Connection, model_id: int) -> dict[str, int]:
    """The tokens of one batch of this model, by device."""
    found = select(TokenBudget.device, TokenBudget.tokens).where(TokenBudget.model_id == model_id)
    return dict(connection.execute(found.order_by(TokenBudget.device)).all())


def remember_budget(connection: Connection, model_id: int, device: str, configured: int, tokens: int) -> None:
    """Remember that the device is to take so many tokens of this model, while the setting stays what it is."""
    statement = insert(connection, TokenBudget).values(
        model_id=model_id, device=device, configured=configured, tokens=tokens
    )
    replaced = {"configured": configured, "tokens": tokens, "updated_at": utc_now()}
    connection.execute(statement.on_conflict_do_update(index_elements=["model_id", "device"], set_=replaced))
