"""A contract is known by a file that ships, or by a model of it; where nobody can tell, its name is not refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from churn.errors import ContractError
from store.known_contracts import require_known
from store.registry import open_registry
from store.service_database import service_engine
from store.settings import Settings


def test_a_contract_that_ships_needs_no_model(settings: Settings):
    require_known("telco", service_engine(settings.database_url))


def test_a_contract_of_ones_own_is_known_by_its_models(settings: Settings):
    engine = service_engine(settings.database_url)
    with pytest.raises(ContractError, match=r"shop: .* there are ibm_telco, iranian, telco"):
        require_known("shop", engine)
    open_registry(settings).register("shop", "0" * 64)
    require_known("shop", engine)
    with pytest.raises(ContractError, match="there are ibm_telco, iranian, shop, telco"):
        require_known("shopp", engine)


def test_before_the_first_night_only_what_ships_is_known(database_url: str):
    engine = service_engine(database_url)
    with pytest.raises(ContractError):
        require_known("shop", engine)
    engine.dispose()


def test_a_database_that_does_not_answer_refuses_nobody(tmp_path: Path):
    require_known("shop", service_engine(f"sqlite:///{tmp_path}"))
    require_known("shop", service_engine("postgresql+psycopg://nobody@127.0.0.1:1/churn"))
