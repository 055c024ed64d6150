"""The whole system, run as people run it."""

from tests.system import home, leave_nothing, start

__all__ = ["home", "leave_nothing", "start"]
