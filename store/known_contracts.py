"""Whether a contract's name is one that anything is known of: for programs that read no contract's file."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from churn.errors import ContractError
from store.contracts import shipped_contracts
from store.registry_tables import model_version
from store.service_database import is_outage


def require_known(name: str, engine: Engine) -> None:
    """ContractError, with the names that there are, where no contract of that name ships and no model is registered.

    A database that does not answer is no reason to refuse a name.
    """
    shipped = shipped_contracts()
    if name in shipped:
        return
    try:
        registered = _registered(engine)
    except DBAPIError as failed:
        if is_outage(failed):
            return
        registered = ()  # there are no tables before the first night
    if name not in registered:
        there_are = ", ".join(sorted({*shipped, *registered}))
        raise ContractError(
            f"no contract and no model has that name; there are {there_are}",
            where=name,
            to_do="Give one of these names, or the path of a contract's YAML file.",
        )


def _registered(engine: Engine) -> tuple[str, ...]:
    """The contracts that the registry has models of."""
    with engine.connect() as connection:
        return tuple(connection.scalars(sa.select(model_version.c.contract).distinct()))
