"""The security items of the service and of what it stands on, each with the tests that hold it."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from datetime import date
from itertools import chain
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from api.app import create_app
from store.settings import Settings, read_settings
from store.tables import engine_for
from tests import cards
from tests.api.service import TINY, Ask, promoted, publish, running, scored
from tests.house.test_house_rules import ROOT

TESTS = ROOT / "tests"
AS_OF = date(2026, 1, 1)
EXAMPLES = 60

ITEMS = [
    # item                                        held by                     in
    ("S1 an agent sees his own customers alone", "test_an_agent_sees_the_customers_of_his", "api/test_customers.py"),
    ("S1 and nobody else's on a list", "test_nobody_sees_customers_of_other_segments", "api/test_outreach.py"),
    ("S1 nor learns that there are others", "test_whoever_may_not_see_a_customer_learns_not", "api/test_audit.py"),
    ("S2 no route opens without a good token", "test_no_route_opens_without_a_good_token", "api/test_door.py"),
    ("S2 not even one that chance sends", "test_schemathesis_finds_no_broken_promise", "api/test_promises.py"),
    ("S3 bad tokens are refused", "test_a_token_that_is_not_ours_of_now_and_unchanged", "api/test_tokens.py"),
    ("S3 keys change without a restart", "test_a_key_is_changed_while_tokens_are_in_use", "api/test_tokens.py"),
    ("S3 no token lives long", "test_no_token_lives_longer_than_a_quarter_of_an_hour", "api/test_tokens.py"),
    ("S3 nor after its holder was disabled", "test_a_token_opens_nothing_soon_after", "api/test_door.py"),
    ("S4 answers have declared fields alone", "test_the_interface_is_the_one_that_is", "api/test_openapi.py"),
    ("S4 surplus fields are refused", "test_what_the_contract_forbids_is_refused_by_field", "api/test_predictions.py"),
    ("S5 odd and large bodies are refused", "test_an_odd_body_is_refused_shortly", "api/test_odd_bodies.py"),
    ("S5 and slow ones", "test_a_sender_who_takes_too_long_is_told_so", "api/test_deadline.py"),
    ("S5 and pages are short", "test_what_cannot_be_asked_is_refused", "api/test_outreach.py"),
    ("S6 twice the rate is halved", "test_at_twice_the_rate_half_is_refused", "api/test_limits.py"),
    ("S7 operators alone move champions", "test_operators_alone_move_champions", "api/test_registry.py"),
    ("S7 operators alone train", "test_training_is_for_operators", "api/test_training_runs.py"),
    ("S7 each role does its own", "test_operating_needs_the_role", "api/test_security.py"),
    ("S8 harvesting is noticed", "test_whoever_harvests_customers_is_noticed", "api/test_limits.py"),
    ("S8 by whatever route", "test_whoever_leafs_through_lists_stands", "api/test_harvest.py"),
    ("S8 by trying out keys, too", "test_who_tries_out_keys_by_writing_back", "api/test_interventions.py"),
    ("S9 no address of a request is fetched", "test_it_imports_no_client", "house/test_the_service_calls_nobody.py"),
    ("S9 but those of named hosts", "test_only_hosts_that_are_named_may_be_called", "store/test_callbacks.py"),
    ("S9 a digest leads nowhere else", "test_what_can_be_no_digest_is_refused", "store/test_artifacts.py"),
    ("S10 headers are as they should be", "test_every_answer_carries_these_headers", "api/test_surroundings.py"),
    ("S10 errors tell nothing", "test_an_unforeseen_error_is_found_by_its_number", "api/test_surroundings.py"),
    ("S10 pages that may call are named", "test_only_the_pages_that_are_named_may_call", "api/test_surroundings.py"),
    ("S10 the server has no name", "test_no_header_names_the_server", "api/test_server.py"),
    ("S11 every path has a version", "test_every_path_has_the_interfaces_version", "api/test_openapi.py"),
    ("S11 the interface is written down", "test_the_interface_is_the_one_that_is_written", "api/test_openapi.py"),
    ("S12 a model of other columns is refused", "test_a_model_whose_contract_lacks_a_feature", "api/test_health.py"),
    ("S12 a segment that is unknown too", "test_a_segment_that_the_contract_does_not_know", "api/test_registry.py"),
    (
        "S13 no file of a model runs anything",
        "test_a_pickle_in_the_place_of_a_scorecards",
        "store/test_hostile_artifacts.py",
    ),
    (
        "S13 nor widens what is trusted",
        "test_a_file_that_would_widen_what_is_trusted",
        "store/test_hostile_artifacts.py",
    ),
    ("S13 what nobody signed is refused", "test_what_no_trusted_key_has_signed", "store/test_signatures.py"),
    ("S13 nothing is unpickled", "test_no_room_loads_a_pickle", "house/test_nothing_is_unpickled.py"),
    ("S14 promotions are never rewritten", "test_the_database_itself_refuses_to_rewrite", "store/test_registry.py"),
    ("S15 each role of the database", "test_each_role_does_its_own_work_and_is_refused", "store/test_roles.py"),
    ("S16 no text becomes SQL", "test_no_text_of_a_request_becomes_sql", "api/test_security_items.py"),
    ("S16 nor by a slip", "test_statements_made_of_texts_are_looked_for", "api/test_security_items.py"),
    ("S17 no secret leaves", "test_no_secret_is_in_an_answer_or_in_the_log", "api/test_door.py"),
    ("S17 not with a dead database either", "test_a_dead_database_is_named_and_keeps_its", "api/test_health.py"),
    ("S18 each look stands in the log", "test_a_look_up_stands_in_the_log_with_who", "api/test_audit.py"),
    ("S18 before it is shown", "test_no_score_is_delivered_that_is_not_in_the_log", "api/test_audit.py"),
    ("S18 with its purpose", "test_without_a_purpose_nobody_is_shown", "api/test_audit.py"),
    ("S18 reading the log too", "test_reading_the_log_is_an_entry_of_it", "api/test_audit.py"),
]


@pytest.mark.parametrize(("item", "test", "where"), ITEMS, ids=lambda value: str(value)[:40])
def test_each_security_item_is_held_by_a_test(item: str, test: str, where: str):
    functions = [node.name for node in ast.parse((TESTS / where).read_text()).body if isinstance(node, ast.FunctionDef)]
    assert [name for name in functions if name.startswith(test)], f"nothing holds {item}"


def test_no_security_item_is_left_out():
    assert {item.partition(" ")[0] for item, _, _ in ITEMS} == {f"S{number}" for number in range(1, 19)}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A base with a published night, for every text that chance comes upon."""
    home = {"CHURN_HOME": str(tmp_path_factory.mktemp("home")), "CHURN_MODE": "development"}
    made = read_settings({**home, "CHURN_RATES": "lookups=6000000"})
    publish(made, "scores", AS_OF, scores=scored(cards.customers(5), promoted(made), AS_OF))
    return made


@pytest.fixture(scope="module")
def ask(base: Settings) -> Iterator[Ask]:
    with running(create_app(base, TINY.name)) as asked:
        yield asked


QUOTED = st.sampled_from(
    ["'", '"', "`", ";", "--", "/*", "\\", "%", "_", "$1", ":name", "?", "{0}", "\u02bc", "\uff07"]
)
NASTY = st.lists(
    QUOTED | st.sampled_from([" OR 1=1", "DROP TABLE scores", "C000001"]) | st.text(max_size=5), min_size=1
)


@given(words=NASTY)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
def test_no_text_of_a_request_becomes_sql(ask: Ask, base: Settings, words: list[str]):
    text = "".join(words)
    answer = ask("GET", f"/api/v1/customers/{quote(text.encode(errors='replace'), safe='')}")
    if text == "C000001":
        return
    assert answer.status_code in (404, 405, 422), (text, answer.text)
    with engine_for(base.database_url).connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM score_current")) == 5


def test_statements_made_of_texts_are_looked_for():
    lint = tomllib.loads(Path(ROOT, "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    excused = [rules for place, rules in lint["per-file-ignores"].items() if place.startswith(("api", "store"))]
    assert "S" in lint["select"]  # of which S608 is one: SQL put together by formatting
    assert not [rule for rule in (*lint["ignore"], *chain(*excused)) if rule.startswith("S")]
