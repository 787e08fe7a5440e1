"""What the lot of ended waves teaches of actions is kept, and lists go by it from then on where it pays."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from churn.outcomes import MEMBERS
from churn.snapshot import midnight
from store.lake import write_parquet
from store.policies import POLICIES, read_policy
from store.settings import current_settings
from store.source import Extract
from store.texts import keep_text
from store.uplifts import kept_uplift, uplift_digest, uplift_in_force
from tasks import uplift as steps
from tasks.lift import KeptWave
from tests.end_to_end.nights import living_in
from tests.small_telecom import write_extract

WAVE, OVER = date(2025, 11, 1), "2025-12-15T00:00"
CUSTOMERS, SHARE = 5_000, 0.1
# The telecom holds one in fifty out, which teaches nothing of so few.
POLICY = (POLICIES / "telco.yaml").read_text().replace("share: 0.02", f"share: {SHARE}")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    with living_in(folder):
        keep_text(POLICY, current_settings())
        yield folder


class Base:
    """A wave of complaining customers: a call keeps those with a high bill, and drives the others away.

    Of so many of those who left it turned out that they `stayed`.
    """

    def __init__(self, folder: Path, customers: int = CUSTOMERS, stayed: int = 0) -> None:
        dice = np.random.default_rng(5)
        self.names = [f"C{number:04d}" for number in range(customers)]
        self.bill, self.held_out = dice.uniform(0.0, 100.0, customers), dice.random(customers) < SHARE
        risk = np.where(self.held_out, 0.6, np.where(self.bill > 50.0, 0.1, 0.95))
        self.left = dice.random(customers) < risk
        self.wave = KeptWave(WAVE, folder / "members.parquet", folder / "members-customers.parquet")
        write_parquet(self.members, self.wave.members)
        write_parquet(self.customers, folder / "members-customers.parquet")
        events = "\n".join(f"{name}  2025-11-10  2025-11-11" for name in np.array(self.names)[self.left][stayed:])
        tables = write_extract(folder / "extract", churn_events=f"customer_id  churned_on  recorded_at\n{events}")
        self.extract = Extract("telco", "digest", tables, {}, None)

    @property
    def members(self) -> pa.Table:
        same = {
            "as_of": WAVE,
            "action": "service_call",
            "policy_digest": hashlib.sha256(POLICY.encode()).hexdigest(),
            "segment": "prepaid",
            "band": "high",
            "probability": 0.6,
            "customer_value": 200.0,
            "unit": None,
            "model_arm": None,
            "champion_customers": None,
            "challenger_customers": None,
        }
        own = {"customer_id": self.names, "held_out": self.held_out}
        return (
            pa.table(own | {name: [value] * len(self.names) for name, value in same.items()})
            .select(MEMBERS.names)
            .cast(MEMBERS)
        )

    @property
    def customers(self) -> pa.Table:
        return pa.table({"customer_id": self.names, "monthly_revenue": self.bill, "segment": ["prepaid"] * CUSTOMERS})


@pytest.fixture(scope="module")
def base(home: Path) -> Base:
    return Base(home)


@pytest.fixture(scope="module")
def learnt(base: Base) -> tuple[str, ...]:
    return steps.learn.fn("telco", [base.wave], base.extract, OVER)


def test_each_action_is_told_of_and_lists_go_by_the_effects_that_pay(base: Base, learnt: tuple[str, ...]) -> None:
    of_call, *others = learnt
    assert of_call.startswith("service_call: To leave alone whom effects advise against earns +")
    assert of_call.endswith("lists leave these alone.")
    assert all("Not yet: of 0 customers of waves" in said for said in others)
    found = uplift_in_force(current_settings(), "telco", midnight(date(2026, 1, 1)))
    assert found is not None
    assert found.cards.keys() == {"service_call"}
    assert found.columns == {"monthly_revenue"}
    effects = found.effects(base.customers, read_policy("telco").policy)
    assert np.isnan(effects[:, 1:]).all()
    assert effects[base.bill > 60.0, 0].mean() > 0.2 > -0.1 > effects[base.bill < 40.0, 0].mean()


def test_a_night_that_is_done_again_knows_of_no_later_effects(learnt: tuple[str, ...]) -> None:
    assert learnt
    before, then = midnight(date(2025, 12, 14)), midnight(date(2025, 12, 15))
    assert uplift_digest(current_settings(), "telco", before) is None
    assert uplift_digest(current_settings(), "telco", then) is not None
    assert uplift_digest(current_settings(), "another", then) is None


def test_effects_that_paid_stay_in_force_where_nothing_was_measured_since(base: Base, learnt: tuple[str, ...]) -> None:
    assert learnt
    [of_call, *_] = steps.learn.fn("telco", [], base.extract, "2026-02-01T00:00")
    assert of_call.startswith("service_call: Not yet: of 0 customers")
    before, since = (uplift_in_force(current_settings(), "telco", midnight(date(2026, month, 2))) for month in (1, 2))
    assert before is not None
    assert since is not None
    policy = read_policy("telco").policy
    assert np.array_equal(*(kept.effects(base.customers, policy) for kept in (before, since)), equal_nan=True)


def test_a_wave_whose_customers_are_kept_no_longer_teaches_nothing(base: Base) -> None:
    silent = KeptWave(base.wave.as_of, base.wave.members)
    assert steps.learn.fn("telco", [silent], base.extract, "2025-12-10T00:00")[0].startswith("service_call: Not yet")


def test_effects_whose_cards_are_gone_are_not_there(home: Path, learnt: tuple[str, ...]) -> None:
    assert learnt
    digest = uplift_digest(current_settings(), "telco", midnight(date(2026, 1, 1)))
    assert digest is not None
    shutil.copytree(home / "artifacts" / "models", home / "aside")
    shutil.rmtree(home / "artifacts" / "models")
    assert kept_uplift(current_settings(), digest) is None
    shutil.move(home / "aside", home / "artifacts" / "models")
    assert kept_uplift(current_settings(), digest) is not None


def test_only_what_is_known_anew_is_a_further_look(base: Base, learnt: tuple[str, ...], tmp_path: Path) -> None:
    assert "at look 1 " in learnt[0]
    same = steps.learn.fn("telco", [base.wave], base.extract, "2026-01-10T00:00")
    assert same == learnt, "to ask twice takes back nothing that was proven"
    corrected = Base(tmp_path, stayed=1).extract
    [anew, *_] = steps.learn.fn("telco", [base.wave], corrected, "2026-01-12T00:00")
    assert "at look 2 " in anew
