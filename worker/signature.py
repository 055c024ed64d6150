"""Signing what is posted, so that a receiver knows who sent it, unchanged, and when.

The scheme is Stripe's (https://docs.stripe.com/webhooks#verify-manually): the time is signed with the body, so that
what was overheard once cannot be sent again later.
"""

import hashlib
import hmac


def signature(secret: str, body: bytes, timestamp: int) -> str:
    """The header's value `t=TIMESTAMP,v1=HEX`, HEX being HMAC-SHA256 of `TIMESTAMP.BODY` under the secret.

    `timestamp` is in whole seconds since 1970, UTC.
    """
    signed = b"%d.%s" % (timestamp, body)
    return f"t={timestamp},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"
