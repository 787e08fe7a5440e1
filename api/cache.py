"""Answers to the same question once more, where the operator wants them kept; by default none is.

A prediction takes a fraction of a millisecond, and most of a request is spent around it, so that keeping them pays only
where the champion is a model that is slow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date

from api.models import Champions
from schemas.messages import CustomerMessage
from store.answer_shelves import Shelf


class AnswerCache:
    """What was answered lately, if there is a shelf to keep it on."""

    def __init__(self, shelf: Shelf | None) -> None:
        self._shelf = shelf

    async def once(self, asked: Callable[[], bytes], make: Callable[[], bytes]) -> bytes:
        """The answer that is kept under the key that `asked` gives, or the one that is made now."""
        if self._shelf is None:
            return make()
        key = asked()
        kept = await self._shelf.get(key)
        if kept is not None:
            return kept
        made = make()
        await self._shelf.put(key, made)
        return made


def key_of(customer: CustomerMessage, champions: Champions, as_of: date) -> bytes:
    """All that a prediction depends on: every champion's version and digest, the day, and what is told of the customer.

    Who asks has no part in it, so that nobody is answered what he may not ask: that was decided before.
    """
    models = sorted((segment, of.stamp.version, of.stamp.digest) for segment, of in champions.of_segment.items())
    told = f"{champions.contract.digest} {models} {as_of} {customer.model_dump_json()}"
    return hashlib.sha256(told.encode()).hexdigest().encode()
