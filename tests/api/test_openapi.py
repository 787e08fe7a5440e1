"""The interface is written down, and changes only together with what was written down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from api.app import create_app
from store.settings import Settings

DOCUMENT = Path(__file__).parent.parent.parent / "schemas" / "openapi.json"
RENEW = "It was changed. Look at the difference that `python -m tests.api.renew_openapi` makes, and commit it, too."
OPEN = {"/health/live", "/health/ready", "/api/v1/token"}  # all others ask for a token


def test_the_interface_is_the_one_that_is_written_down(settings: Settings):
    assert written(create_app(settings).openapi()) == DOCUMENT.read_text(), RENEW


def test_every_path_has_the_interfaces_version_but_for_health_and_figures(settings: Settings):
    paths = create_app(settings).openapi()["paths"]
    assert not [path for path in paths if not path.startswith(("/api/v1/", "/health", "/metrics"))]


def test_every_route_asks_for_a_token_but_for_a_few(settings: Settings):
    paths = create_app(settings).openapi()["paths"]
    without = {path for path, ways in paths.items() for way in ways.values() if "security" not in way}
    assert without == OPEN


def test_the_customer_of_the_document_is_that_of_the_contract_until_there_is_a_champion(settings: Settings):
    customer = create_app(settings).openapi()["components"]["schemas"]["Customer"]
    assert customer["properties"]["tenure_months"]["examples"]


def written(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
