"""The token budget of a model on this device: found by measuring, halved when memory runs out, and remembered."""

import structlog

from db.budgets import find_budget, remember_budget
from db.database import Database
from db.errors import DatabaseUnreachable
from worker.settings import WorkerSettings

#: What engines raise when memory runs out, beside Python's own MemoryError. Named, not imported: TensorFlow takes
#: seconds to load.
_NAMES = {"ResourceExhaustedError"}
_WORDS = ("out of memory", "bad_alloc", "failed to allocate", "can't alloc")

log = structlog.get_logger()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an engine ran out of memory, on the device or on the host."""
    if isinstance(error, MemoryError) or type(error).__name__ in _NAMES:
        return True
    return any(words in str(error).lower() for words in _WORDS)


class TokenBudget:
    """How many tokens, padding included, one batch of one model may have on one device.

    `is_settled` is false for as long as the setting is auto and nothing was found out yet.
    """

    def __init__(self, database: Database, model_id: int, device: str, settings: WorkerSettings) -> None:
        self._database = database
        self._model_id = model_id
        self.device = device
        self._configured = settings.token_budget if isinstance(settings.token_budget, int) else 0
        with database.read() as connection:
            known = find_budget(connection, model_id, device, self._configured)
        self.is_settled = known is not None or self._configured > 0
        self.tokens = settings.first_token_budget if known is None else known

    def settle(self, tokens: int) -> None:
        """Take so many from now on, in every process that loads the model from now on."""
        log.info(
            "token budget found", action="token_budget_found", model=self._model_id, device=self.device, tokens=tokens
        )
        self._remember(tokens)

    def halve(self, failed_tokens: int) -> None:
        """Take half of what just failed, or of the budget if that is less, from now on and in every process."""
        tokens = max(1, min(self.tokens, failed_tokens) // 2)
        log.warning(
            "out of memory", action="token_budget_halved", model=self._model_id, device=self.device, tokens=tokens
        )
        self._remember(tokens)

    def _remember(self, tokens: int) -> None:
        self.tokens, self.is_settled = tokens, True
        try:
            with self._database.write() as connection:
                remember_budget(connection, self._model_id, self.device, self._configured, tokens)
        except DatabaseUnreachable as error:
            log.warning("token budget not remembered", action="budget_not_remembered", reason=str(error))
