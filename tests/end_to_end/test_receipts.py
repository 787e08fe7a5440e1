"""Receipts of whole nights are recomputed from storage, whatever model or policy came since, or say what is gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from churn.errors import AuditFailed, RequestError
from churn.estimators import Estimator
from churn.receipt import for_agent
from churn.scorecard import Scorecard
from churn.training import TrainingPlan
from churn.training.additive import fit
from churn.training.estimators import fit_estimator
from cli.receipt import receipt as command
from schemas.interventions import Event, Intervention
from schemas.outreach import OUTREACH, STATUSES
from schemas.receipt import AgentReceipt, Receipt
from schemas.scores import SCORES
from store.artifacts import model_of, save_model
from store.contracts import read_contract
from store.decisions import Decision, decision_of
from store.interventions import record
from store.lake import read_parquet, write_parquet
from store.policies import POLICIES
from store.publication import open_publisher
from store.receipts import receipts_of
from store.registry import Promotion, open_registry
from store.settings import current_settings
from tests.command import churn
from tests.end_to_end.nights import Nights, published_rows
from tests.end_to_end.telecom import FIRST_NIGHT
from tests.models import trained

FIRST, SECOND, THIRD = FIRST_NIGHT, "2024-08-02", "2024-08-03"
DRAWS = 10_000


def receipts(customers: Sequence[str], as_of: str = FIRST) -> tuple[Receipt, ...]:
    return receipts_of(current_settings(), read_contract("telco"), customers, date.fromisoformat(as_of))


def decision(as_of: str = FIRST) -> Decision:
    return decision_of(open_publisher(current_settings()), "telco", date.fromisoformat(as_of))


def customers_of(as_of: str = FIRST, *statuses: str) -> list[str]:
    """The keys of a night's scored customers, or of those with one of the statuses."""
    listed = decision(as_of).list
    assert listed is not None
    rows = published_rows(listed.folder, "outreach_status").select(["customer_id", "status"]).to_pylist()
    return [row["customer_id"] for row in rows if not statuses or row["status"] in statuses]


def succeeded_by(kind: str) -> None:
    """Trains a model of another kind on the first night's customers, and makes it champion."""
    settings, contract, first = current_settings(), read_contract("telco"), decision()
    assert first.snapshot is not None
    rows = read_parquet(sorted(first.snapshot.glob("bucket=*.parquet")))
    labels = (np.random.default_rng(3).random(rows.num_rows) < 0.1).astype(np.int64)
    plan = TrainingPlan(kind=kind, jobs=1, outer_bags=1, max_rounds=50)
    model: Scorecard | Estimator
    model = (fit if kind == "scorecard" else fit_estimator)(rows, labels, contract.features, plan)
    probe = rows.slice(0, 20).select([column.name for column in contract.features])
    digest = save_model(model_of(trained(model, probe), contract, "1"), settings)
    registry = open_registry(settings)
    version, now = registry.register("telco", digest), registry.resolve("telco").version
    registry.promote(Promotion("telco", version, expected=now, who="Ada", why="it is newer", override=True))


def other_policy(folder: Path) -> Path:
    """The telecom's policy with fewer places, dearer calls and a larger holdout."""
    text = (POLICIES / "telco.yaml").read_text()
    for old, new in (
        ("capacity: 100", "capacity: 40"),
        ("contact_cost: 2.0", "contact_cost: 3.0"),
        ("share: 0.02", "share: 0.2"),
    ):
        assert old in text
        text = text.replace(old, new)
    path = folder / "other.yaml"
    path.write_text(text)
    return path


def added_up(receipt: Receipt) -> float:
    total = receipt.score.intercept
    assert total is not None
    for term in receipt.score.terms:
        total += term.log_odds
    return total


@pytest.fixture(scope="module")
def home(shared_nights: Nights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of three nights, with a new champion before the second and the third, and a new policy for the third."""
    policy = other_policy(tmp_path_factory.mktemp("policy"))
    succeeded_by("scorecard")
    shared_nights.run(SECOND)
    succeeded_by("logistic_regression")
    shared_nights.run(THIRD, policy=str(policy))
    policy.unlink()
    return shared_nights.home


@contextmanager
def without(path: Path | None) -> Iterator[None]:
    """As if a file or folder were gone."""
    assert path is not None
    aside = path.rename(path.with_name(f".{path.name}"))
    yield
    if path.exists():
        path.unlink()
    aside.rename(path)


def test_ten_thousand_receipts_are_recomputed_after_two_retrainings_and_a_change_of_policy(home: Path) -> None:
    dice = np.random.default_rng(7)
    drawn = {as_of: dice.choice(customers_of(as_of), DRAWS // 3 + 1).tolist() for as_of in (FIRST, SECOND, THIRD)}
    made = [receipt for as_of, customers in drawn.items() for receipt in receipts(customers, as_of)]
    decisions = [receipt.decision for receipt in made if receipt.decision]
    assert len(made) == len(decisions) > DRAWS
    assert {receipt.missing for receipt in made} == {()}
    assert {receipt.score.model_version for receipt in made} == {1, 2, 3}
    assert len({decision.policy_digest for decision in decisions}) == 2
    assert {"listed", "held_out", "no_action", "do_not_contact"} <= {decision.status for decision in decisions}
    assert all(added_up(receipt) == receipt.score.log_odds for receipt in made if receipt.score.model_version < 3)
    assert all(abs(added_up(receipt) - receipt.score.log_odds) < 1e-9 for receipt in made)


def test_a_listed_customers_receipt_has_every_field_recomputed_and_the_money_of_every_action(home: Path) -> None:
    listed, off = (receipts(customers_of(SECOND, status)[:1], SECOND)[0] for status in ("listed", "no_action"))
    assert listed.decision is not None
    assert listed.decision.rank is not None
    assert listed.decision.cut is not None
    assert listed.decision.expected_value is not None
    assert listed.decision.expected_value >= listed.decision.cut
    assert [offer.action for offer in listed.decision.offers] == ["service_call", "device_upgrade", "discount"]
    chosen = {offer.action: offer.expected_value for offer in listed.decision.offers}[str(listed.decision.action)]
    assert chosen == listed.decision.expected_value
    for schema, what in ((SCORES, "score"), (STATUSES, "status"), (OUTREACH, "list")):
        assert {f"{what}.{name}" for name in schema.names} <= set(listed.recomputed)
    assert not any(field.startswith("list.") for field in off.recomputed)


def test_what_was_written_back_is_in_the_receipt(home: Path) -> None:
    listed = published_rows(listed_folder(SECOND), "outreach").slice(0, 1).to_pylist()[0]
    sent = {name: listed[name] for name in ("customer_id", "as_of", "action", "channel", "team")}
    when = datetime(2024, 8, 2, 10, tzinfo=UTC)
    event = Intervention(**sent, contract="telco", event=Event.REACHED, agent="ann", occurred_at=when, key="e1")
    assert record(current_settings(), [event]).new == 1
    (outcome,) = receipts([listed["customer_id"]], SECOND)[0].outcomes
    assert (outcome.event, outcome.agent, outcome.occurred_at) == ("reached", "ann", when.replace(tzinfo=None))


def test_without_the_snapshot_what_follows_from_the_published_score_is_recomputed(home: Path) -> None:
    with without(decision().snapshot):
        made = receipts(customers_of())
    snapshot = "the snapshot: the customers' rows, the terms of the score, the rule and the place"
    worth = "what contacts were worth, since with the snapshot went the causes that customers met"
    assert {receipt.missing for receipt in made} == {(snapshot, worth)}
    assert {receipt.score.terms for receipt in made} == {()}
    assert {"score.probability", "score.band", "score.percentile"} <= set(made[0].recomputed)
    # Which cause a customer met, and so what a contact was worth, the published score does not say.
    assert {"score.log_odds", "status.expected_value"}.isdisjoint(made[0].recomputed)


def test_without_the_model_the_decision_is_still_recomputed(home: Path) -> None:
    digest = receipts(customers_of()[:1])[0].score.model_digest
    with without(home / "artifacts" / "models" / digest):
        (made,) = receipts(customers_of(FIRST, "do_not_contact")[:1])
    assert made.missing == (f"model {digest}: the score and its terms",)
    assert made.facts
    assert {"status.status", "status.rule"} <= set(made.recomputed)
    assert "score.log_odds" not in made.recomputed


def test_without_the_policys_text_the_score_is_still_recomputed(home: Path) -> None:
    with without(home / "artifacts" / "texts"):
        (made,) = receipts(customers_of(THIRD)[:1], THIRD)
    assert made.decision is not None
    assert made.missing == (
        f"the text of policy {made.decision.policy_digest}: what its actions would have been worth, and the decision",
    )
    assert made.decision.offers == ()
    assert "score.log_odds" in made.recomputed
    assert not any(field.startswith(("status.", "list.")) for field in made.recomputed)


@pytest.mark.parametrize(
    ("table", "field", "said"),
    [
        ("scores", "probability", "score.probability"),
        ("scores", "log_odds", "score.log_odds"),
        ("outreach_status", "expected_value", "status.expected_value"),
    ],
)
def test_a_field_that_differs_in_its_last_bit_is_named_with_both_values(
    home: Path, table: str, field: str, said: str
) -> None:
    (customer,) = customers_of(FIRST, "listed")[:1]
    path = next(path for path in tables_of(table) if customer in read_parquet([path])["customer_id"].to_pylist())
    rows = read_parquet([path])
    values = rows[field].to_pylist()
    place = rows["customer_id"].to_pylist().index(customer)
    true, values[place] = values[place], float(np.nextafter(values[place], 9.0))
    with without(path):
        write_parquet(rows.set_column(rows.column_names.index(field), field, pa.array(values)), path)
        with pytest.raises(AuditFailed) as refused:
            receipts([customer])
    assert f"{said} of {customer} was published as {values[place]!r}, and is {true!r}" in refused.value.what
    assert refused.value.exit_code == 9


def test_who_has_no_score_that_night_has_no_receipt(home: Path) -> None:
    with pytest.raises(RequestError, match="there is no score of nobody"):
        receipts(["nobody"])
    with pytest.raises(RequestError, match="not published, or kept no longer"):
        receipts(["nobody"], "2020-01-01")


def test_the_command_tells_it_to_scripts(home: Path) -> None:
    (customer,) = customers_of(SECOND, "listed")[:1]
    done = churn("receipt", customer, "--as-of", SECOND, "--format", "json", home=home)
    assert done.returncode == 0, done.stderr
    assert (Receipt.model_validate_json(done.stdout),) == receipts([customer], SECOND)


def test_the_command_tells_all_to_an_analyst_and_no_figures_to_an_agent(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (made,) = receipts(customers_of(SECOND, "listed")[:1], SECOND)
    command(made.customer_id, as_of=SECOND)
    analyst = capsys.readouterr().out
    command(made.customer_id, as_of=SECOND, agent=True, layout="json")
    agent = AgentReceipt.model_validate_json(capsys.readouterr().out)
    assert "published fields were recomputed from storage and are equal to the bit" in analyst
    assert f"version {made.score.model_version}" in analyst
    assert made.decision is not None
    assert agent.agent_says == made.decision.agent_says
    assert agent == for_agent(made, read_contract("telco"))


def listed_folder(as_of: str) -> Path:
    found = decision(as_of).list
    assert found is not None
    return found.folder


def tables_of(table: str) -> list[Path]:
    """The files of one table of the first night."""
    folder = decision().scores.folder if table == "scores" else listed_folder(FIRST)
    return sorted((folder / table).glob("*.parquet"))
