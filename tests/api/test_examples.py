"""The requests that the README sends are those that the service takes."""

from __future__ import annotations

from pathlib import Path

from schemas.list_messages import InterventionsAsked
from schemas.messages import customer_model
from store.contracts import read_contract

EXAMPLES = Path(__file__).parent.parent.parent / "docs" / "examples"


def test_the_example_of_a_customer_is_as_the_contract_says():
    customer_model(read_contract("telco")).model_validate_json((EXAMPLES / "customer.json").read_bytes())


def test_the_example_of_a_contact_is_as_the_service_takes_it():
    InterventionsAsked.model_validate_json((EXAMPLES / "contact.json").read_bytes())
