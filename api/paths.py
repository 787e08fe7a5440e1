"""The paths of a customer's routes: a key may have slashes in it, written %2F, and what a route appends is none of it.

Servers decode a path before they look at it, so that a key which ends like a route, as "7/history" does, asks for that.
"""

from __future__ import annotations

from starlette.convertors import PathConvertor, register_url_convertor

OF_A_CUSTOMER = ("history", "receipt", "what-if")


class KeyConvertor(PathConvertor):
    """A customer's key before what the route appends."""

    regex = r"[\s\S]+"


class KeyAloneConvertor(PathConvertor):
    """A customer's key with which the path ends."""

    regex = rf"(?![\s\S]*/(?:{'|'.join(OF_A_CUSTOMER)})\Z)[\s\S]+"


register_url_convertor("key", KeyConvertor())
register_url_convertor("key_alone", KeyAloneConvertor())

CUSTOMER = "/customers/{customer_id:key_alone}"
PART_OF_CUSTOMER = "/customers/{customer_id:key}"
