"""By no route does whoever talks to customers read money, or a reason that cannot be acted on or is protected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from api.answers import Reason
from api.app import create_app
from api.discretion import Discretion
from churn.contract import parse_contract
from churn.discretion import sayable
from schemas.columns import Column
from schemas.columns import Role as Part
from schemas.odcs_text import contract_text
from schemas.users import Role, User
from store.registry import Version
from store.settings import Settings
from tests import cards
from tests.api.service import PLAN, Ask, promoted, running
from tests.api.snapshots import publish_with_snapshot
from tests.api.test_live import ROWS, change

NIGHT = date(2026, 1, 1)
KEY = "C000003"
(ROW,) = [row for row in ROWS.to_pylist() if row["customer_id"] == KEY]
MONEY = {"expected_value", "customer_value"}
REASONS = {"reasons", "reliefs", "moved"}


def marked(column: Column) -> Column:
    """Agents may speak of tenure and plan; the bill is a feature, too, and says what the customer is worth."""
    roles = (*column.roles, Part.FEATURE) if column.name == "bill" else column.roles
    return replace(column, roles=roles, actionable=column.name in ("tenure", "plan"))


CONTRACT = parse_contract(contract_text(cards.contract(tuple(map(marked, (*cards.COLUMNS[:-1], PLAN))))), where="tests")
ROUTES = {
    "stored": lambda ask: ask("GET", f"/api/v1/customers/{KEY}"),
    "live": lambda ask: ask("GET", f"/api/v1/customers/{KEY}?live=true"),
    "history": lambda ask: ask("GET", f"/api/v1/customers/{KEY}/history"),
    "what-if": lambda ask: ask("POST", f"/api/v1/customers/{KEY}/what-if", json={"changes": {"dropped": 0.2}}),
    "prediction": lambda ask: ask("POST", "/api/v1/predictions", json=ROW | {"bill": 500.0}),
    "batch": lambda ask: ask("POST", "/api/v1/predictions/batch", json={"customers": [ROW | {"bill": 500.0}]}),
}
OF_THE_NIGHT = {"stored", "live", "history", "what-if"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A night, and a source that has meanwhile another bill, another contract and more dropped calls."""
    champion: Version = promoted(settings, contract=CONTRACT)
    publish_with_snapshot(settings, champion, ROWS, NIGHT, CONTRACT)
    path = settings.data / "source" / "telco.db"
    make_source(path)
    now = (ROW["bill"] + 400.0, not ROW["in_contract"], 0.2, KEY)
    change(path, "UPDATE customers SET bill = ?, in_contract = ?, dropped = ? WHERE customer_id = ?", *now)
    return settings


def make_source(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    change(path, f"CREATE TABLE customers ({', '.join(ROWS.column_names)})")
    for row in ROWS.to_pylist():
        change(path, f"INSERT INTO customers VALUES ({', '.join('?' * len(row))})", *row.values())


def told(settings: Settings, role: Role, route: str) -> Any:
    with running(create_app(settings, CONTRACT.name), who=User("ada", role)) as ask:
        answer = ROUTES[route](ask)
    assert answer.status_code == 200, answer.text
    return answer.json()


def found(answer: Any, names: set[str]) -> Iterator[Any]:
    """What stands under these names anywhere in the answer."""
    for name, part in answer.items() if isinstance(answer, dict) else enumerate(answer):
        if name in names:
            yield part
        elif isinstance(part, dict | list):
            yield from found(part, names)


def features(answer: Any) -> set[str]:
    return {reason["feature"] for reasons in found(answer, REASONS) for reason in reasons}


@pytest.mark.parametrize("route", ROUTES)
def test_an_agent_reads_neither_money_nor_what_he_may_not_say(settings: Settings, route: str):
    agent, operator = (told(settings, role, route) for role in (Role.AGENT, Role.OPERATOR))
    assert {money for money in found(agent, MONEY) if money is not None} == set()
    assert features(agent) <= {"tenure", "plan", "tenure & plan"}
    if route != "history":
        assert features(operator) - features(agent), "there was something to keep back"


@pytest.mark.parametrize("route", ROUTES)
def test_a_program_reads_of_its_own_features_all_and_of_the_night_s_what_an_agent_does(settings: Settings, route: str):
    program, alike = (told(settings, role, route) for role in (Role.SERVICE, like(route)))
    assert features(program) == features(alike)
    assert list(found(program, MONEY)) == list(found(alike, MONEY))


def like(route: str) -> Role:
    return Role.AGENT if route in OF_THE_NIGHT else Role.OPERATOR


def test_what_has_changed_tells_an_agent_nothing_of_the_customers_value(settings: Settings):
    changed = {role: told(settings, role, "live")["live"]["changed"] for role in (Role.AGENT, Role.ANALYST)}
    assert [one["feature"] for one in changed[Role.ANALYST]] == ["bill", "dropped", "in_contract"]
    assert [one["feature"] for one in changed[Role.AGENT]] == ["dropped", "in_contract"]


def test_an_agent_still_reads_what_to_do(settings: Settings):
    agent, operator = (told(settings, role, "prediction")["recommended"] for role in (Role.AGENT, Role.OPERATOR))
    assert operator["expected_value"] > 0
    assert agent == operator | {"expected_value": None}


def test_of_a_pair_of_which_one_half_may_be_said_only_its_title_is_told_and_nothing_twice():
    discreet = Discretion(in_full=False, sayable=sayable(CONTRACT))
    reasons = [Reason(feature="plan & dropped", value="P2, 3 % dropped", log_odds=0.4)] * 2
    reasons.append(Reason(feature="dropped", value="3 % dropped", log_odds=0.2))
    assert [(one.feature, one.value) for one in discreet.reasons(reasons)] == [("plan", "plan")]
    assert discreet.withheld(reasons) == 1, "of the pair a part is told, of the last nothing"
    assert Discretion(in_full=False).reasons(reasons) == [], "without a contract nothing may be said"
    assert (Discretion(in_full=False).withheld(reasons), Discretion(in_full=True).withheld(reasons)) == (3, 0)


def test_while_no_model_is_there_an_agent_reads_no_reason(ask_without_champion: Ask):
    answer = ask_without_champion("GET", f"/api/v1/customers/{KEY}").json()
    assert (answer["customer_id"], answer["reasons"], answer["reliefs"]) == (KEY, [], [])


@pytest.fixture
def ask_without_champion(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    monkeypatch.setattr("api.models.load_champions", lambda *asked: (_ for _ in ()).throw(OSError("the disk is away")))
    with running(create_app(settings, CONTRACT.name), who=User("ada", Role.AGENT)) as ask:
        yield ask
