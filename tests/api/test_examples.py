"""The requests that the README sends and that OpenAPI gives as examples are those that the service takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from schemas.list_messages import InterventionsAsked
from schemas.messages import changes_schema, customer_model, customer_schema
from store.contracts import read_contract
from store.registry import Version
from store.settings import Settings
from tests import cards
from tests.api.lists import publish_list
from tests.api.service import TINY, Ask, running
from tests.api.snapshots import publish_with_snapshot

EXAMPLES = Path(__file__).parent.parent.parent / "docs" / "examples"


def test_the_example_of_a_customer_is_a_whole_row_as_the_contract_says():
    """It is the README's night's row of the customer whom it looks up, so that both requests give one score."""
    asked_for = customer_model(read_contract("telco"))
    given = asked_for.model_validate_json((EXAMPLES / "customer.json").read_bytes())
    assert given.model_fields_set == set(asked_for.model_fields)


def test_the_example_of_a_contact_is_as_the_service_takes_it():
    InterventionsAsked.model_validate_json((EXAMPLES / "contact.json").read_bytes())


def test_each_example_of_the_document_is_taken_by_the_service(ask: Ask, settings: Settings):
    publish_list(settings, [1, 2])
    document = ask("GET", "/openapi.json").json()
    taken = {
        path: ask("POST", path, json=body, headers={"idempotency-key": f"example{path}"}).status_code
        for path, body in bodies(document)
    }
    assert taken == {
        "/api/v1/interventions": 200,
        "/api/v1/jobs": 202,
        "/api/v1/outreach/handover": 200,
        "/api/v1/predictions": 200,
        "/api/v1/predictions/batch": 200,
    }


def test_the_example_of_a_what_if_is_taken_for_a_customer_by_the_contract_inside_the_champion(
    settings: Settings, champion: Version
):
    publish_with_snapshot(settings, champion, cards.customers(20), cards.AS_OF)
    with running(create_app(settings, TINY.name)) as ask:
        document = ask("GET", "/openapi.json").json()
        path = "/api/v1/customers/{customer_id}/what-if"
        asked = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        example = example_of(asked, document["components"]["schemas"])
        assert set(example["changes"]) <= set(TINY.customer.names)
        assert ask("POST", path.format(customer_id="C000003"), json=example).status_code == 200


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each path that is sent JSON, with what its description gives as an example, but for paths of one customer."""
    for path, ways in document["paths"].items():
        asked = ways.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json")
        example = asked and example_of(asked["schema"], document["components"]["schemas"])
        if example and "{" not in path:
            yield path, example


def example_of(schema: dict[str, Any], shapes: dict[str, Any]) -> Any:
    if "examples" in schema:
        return schema["examples"][0]
    if name := schema.get("$ref", "").rpartition("/")[2]:
        return example_of(shapes[name], shapes)
    if schema.get("type") == "array":
        return [example_of(schema["items"], shapes)]
    parts = schema.get("properties", {}).items()
    return {name: found for name, part in parts if (found := example_of(part, shapes))}


@pytest.mark.parametrize("name", ["telco", "ibm_telco", "iranian"])
def test_the_example_customer_of_a_contract_is_one(name: str):
    customer = customer_model(read_contract(name))
    [example] = customer_schema(customer)["examples"]
    customer.model_validate_json(json.dumps(example))
    [change] = changes_schema(customer_schema(customer))["examples"]
    assert len(change) == 1
    assert read_contract(name).key not in change
