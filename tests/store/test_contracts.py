from __future__ import annotations

import pytest

from churn.errors import ContractError
from schemas.columns import Role
from store.contracts import read_contract, shipped_contracts


@pytest.mark.parametrize("name", shipped_contracts())
def test_every_contract_that_ships_is_sound_and_called_like_its_file(name):
    contract = read_contract(name)
    assert contract.name == name
    assert contract.one(Role.VALUE) is not None
    assert len(contract.digest) == 64


def test_three_contracts_ship():
    assert shipped_contracts() == ("ibm_telco", "iranian", "telco")


def test_a_contract_without_a_key_at_the_source_makes_one():
    contract = read_contract("iranian")
    assert contract.surrogate_key
    assert [column.name for column in contract.customer.columns if column.derived] == ["customer_id"]
    assert contract.training.duplicates == 300


def test_a_contract_is_read_from_any_path(tmp_path):
    copy = tmp_path / "mine.yaml"
    copy.write_text(read_contract("ibm_telco").text)
    assert read_contract(str(copy)) == read_contract("ibm_telco")


def test_an_unknown_name_is_answered_with_the_names_there_are():
    with pytest.raises(ContractError, match="ibm_telco, iranian, telco"):
        read_contract("telcoo")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ContractError, match="No such file"):
        read_contract(str(tmp_path / "none.yaml"))


def test_a_file_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: Café".encode("latin-1"))
    with pytest.raises(ContractError, match="not UTF-8"):
        read_contract(str(path))
