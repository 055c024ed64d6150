"""What can go wrong in the broker room. Every message is one line for a person."""


class BrokerError(Exception):
    """The broker could not do what was asked."""


class RedisUnreachable(BrokerError):
    """No Redis answers at the URL of the settings."""


class InsecureRedis(BrokerError):
    """The settings leave it open whether the other side is Redis."""


class RedisMissing(BrokerError):
    """There is no Redis server on this machine to start."""


class StackError(BrokerError):
    """The embedded stack did not start."""
