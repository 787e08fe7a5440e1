"""Who is offered what, and why: causes as small tables that a colleague from the call centre could check."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from churn.actions import offers
from churn.listing import status_rows
from churn.outreach import Terms, judge
from churn.wave import draw
from schemas.policy import Action
from store.policies import read_policy
from tests.policies import nothing_before
from tests.spec.test_who_is_on_the_list import TONIGHT, rows_of

TELCO = read_policy("telco").policy

# By the telecom's policy, one channel at a time. All are worth 600; - is not known.
MET = """
customer  risk  complaints  tickets  handset  price  by_phone                    keeps  by_message         keeps_too
anna      0.30           1        1      100    0.0  service_call/complaint       0.35  -                        -
boris     0.30           2        0      900    0.0  service_call/complaint       0.35  -                        -
clara     0.30           0        0      900    0.0  device_upgrade/old_handset   0.15  -                        -
david     0.30           0        0      301    2.5  device_upgrade/old_handset   0.15  discount/dearer_plan  0.07
elif      0.30           0        0      300    2.5  -                               -  discount/dearer_plan  0.07
farid     0.30           0        3      900    0.0  device_upgrade/old_handset   0.15  -                        -
gita      0.30           0        0        -   -2.5  -                               -  -                        -
"""

# Who meets nothing is no case for an action; who meets a cause that drives him away is not worth one.
STATUSES = """
customer  risk  complaints  tickets  handset  price  status
anna      0.30           1        0      100    0.0  listed
boris     0.30           0        0      100    0.0  no_action
clara     0.30           0        1      100    0.0  not_worth_it
david     0.01           1        0      100    0.0  listed
elif      0.001          1        0      100    0.0  not_worth_it
farid     0.30           0        0        -    0.0  no_action
"""


def customers(table: str) -> pa.Table:
    rows = rows_of(table)
    read = {
        "complaints": "complaints_open",
        "tickets": "tickets_open",
        "handset": "handset_age_days",
        "price": "price_change_6m",
    }
    columns = {
        name: pa.array([None if row[told] == "-" else float(row[told]) for row in rows]) for told, name in read.items()
    }
    return pa.table(
        columns
        | {
            "customer_id": [row["customer"] for row in rows],
            "probability": [float(row["risk"]) for row in rows],
            "customer_value": np.full(len(rows), 600.0),
            "do_not_contact": np.zeros(len(rows), np.bool_),
            "marketing_consent": np.ones(len(rows), np.bool_),
            "region": ["R01"] * len(rows),
        }
    )


@pytest.mark.parametrize("channel", ["phone", "message"])
def test_each_channel_has_the_action_that_pays_most_of_those_whose_cause_is_met(channel: str) -> None:
    base, place = customers(MET), TELCO.channel_names.index(channel)
    found = offers(base, np.asarray(base["customer_value"]), TELCO)
    pays = found.worth[:, place] > 0.0
    offered = [
        told(TELCO.actions[number], cause) if worthwhile else ("-", "-")
        for number, cause, worthwhile in zip(found.action[:, place], found.cause[:, place], pays, strict=True)
    ]
    keeps = {"phone": "keeps", "message": "keeps_too"}[channel]
    assert offered == [(row[f"by_{channel}"], row[keeps]) for row in rows_of(MET)]


def told(action: Action, place: int) -> tuple[str, str]:
    cause = action.causes[place]
    return f"{action.name}/{cause.name}", f"{cause.keeps:.2f}"


def test_who_meets_no_cause_has_no_action_and_whom_it_would_drive_away_is_not_worth_one() -> None:
    rules = TELCO.model_copy(
        update={"household_limit": None, "holdout": TELCO.holdout.model_copy(update={"share": 0.0})}
    )
    terms = Terms(rules, "d" * 64, TONIGHT)
    judged = judge(customers(STATUSES), terms, nothing_before(rules))
    [places] = draw([judged.candidates], rules).parts
    statuses = status_rows(judged, places, terms).to_pylist()
    assert [(row["customer_id"], row["status"]) for row in statuses] == [
        (row["customer"], row["status"]) for row in rows_of(STATUSES)
    ]
    assert {row["rule"] for row in statuses if row["status"] == "no_action"} == {
        "no action answers the customer's causes"
    }
