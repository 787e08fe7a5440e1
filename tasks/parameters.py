"""The parameters of the flows, typed and described: the UI builds its form from them, the server refuses wrong ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final, Literal

from prefect.exceptions import ParameterTypeError
from pydantic import Field

from churn.errors import RequestError


def _described(text: str) -> dict[str, str]:
    # Not Field's own description: Prefect 3.8.8 puts in its place what the flow's docstring says of the parameter, or
    # nothing, and the form would explain none.
    return {"description": text}


ContractName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        json_schema_extra=_described("Contract of the data: a name in schemas/contracts, or the path of a YAML file."),
        examples=["telco"],
    ),
]
AsOf = Annotated[
    str | None,
    Field(
        pattern=r"^(latest|\d{4}-\d{2}-\d{2})$",
        json_schema_extra=_described(
            "Date to score, or 'latest' for the last one that the source covers. "
            "Empty: the day the run was scheduled for, in the business zone."
        ),
        examples=["2026-01-01"],
    ),
]
KnownAt = Annotated[
    str | None,
    Field(
        pattern=r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?)?$",
        json_schema_extra=_described("Moment up to which facts count. Empty: the start of the as-of date."),
        examples=["2026-01-01T00:00"],
    ),
]
Source = Annotated[
    str | None,
    Field(
        max_length=500,
        json_schema_extra=_described(
            "Database URL, CSV or Parquet file, or folder of Parquet files. Empty: the configured source. "
            "A URL with a password belongs in CHURN_SOURCE_URL: parameters are kept and shown."
        ),
    ),
]
PolicyName = Annotated[
    str | None,
    Field(
        max_length=200,
        json_schema_extra=_described(
            "Decision policy: a name in schemas/policies, or the path of a YAML file. Empty: the contract's own."
        ),
    ),
]
Force = Annotated[
    bool, Field(json_schema_extra=_described("Do the work again even where the same result is already published."))
]
FOR_THE_LIST: Final = "list"
FOR_THE_BASE: Final = "base"
Reasons = Annotated[
    Literal["list", "base"],
    Field(
        json_schema_extra=_described(
            "Whose scores are explained where the champion is no scorecard: 'list' for the customers on the outreach "
            "list, 'base' for everybody, which takes far longer. A scorecard's reasons are always there."
        ),
    ),
]
Evaluate = Annotated[
    bool, Field(json_schema_extra=_described("Also cross-validate the model: 5 stratified folds, seed 42."))
]
AUTO: Final = "auto"
ASK: Final = "ask"
Promote = Annotated[
    Literal["auto", "ask", "never"],
    Field(
        json_schema_extra=_described(
            "What becomes of candidates that pass the gate: 'auto' promotes them, 'ask' says how to approve them, "
            "'never' only registers them."
        )
    ),
]
EstimatorKind = Annotated[
    Literal["scorecard", "hist_gradient_boosting", "logistic_regression", "random_forest"],
    Field(json_schema_extra=_described("Kind of model to train. A scorecard gives the whole base exact reasons.")),
]
PerSegment = Annotated[
    bool,
    Field(
        json_schema_extra=_described(
            "Also train a candidate for each segment with enough matured churners; the others keep the model of all."
        )
    ),
]
GateName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        json_schema_extra=_described(
            "Gate that judges candidates: a name in schemas/gates, or the path of a YAML file."
        ),
    ),
]
Explanation = Annotated[
    str,
    Field(
        max_length=2_000,
        json_schema_extra=_described(
            "Why the contract is another than the champion's. Without a word the gate refuses a changed contract."
        ),
    ),
]
EmbargoDays = Annotated[
    int | None,
    Field(
        ge=0,
        le=366,
        json_schema_extra=_described(
            "Days between the last fact that a label needs and the date predicted with it. Empty: the contract's."
        ),
    ),
]
TestAsOf = Annotated[
    str | None,
    Field(
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        json_schema_extra=_described("Month to test on; later ones are not looked at. Empty: the newest."),
        examples=["2026-01-01"],
    ),
]
SampledRows = Annotated[
    int | None,
    Field(
        ge=1_000,
        le=10_000_000,
        json_schema_extra=_described(
            "Rows to fit on at most: of more, stayers are sampled and the odds corrected for it. Empty: 50,000."
        ),
    ),
]
First = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        json_schema_extra=_described("Oldest night to score."),
        examples=["2026-01-01"],
    ),
]
Last = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        json_schema_extra=_described("Newest night to score, yesterday at most: today's is the nightly flow's."),
        examples=["2026-01-31"],
    ),
]
Until = Annotated[
    str | None,
    Field(
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        json_schema_extra=_described("Newest night to catch up with. Empty: today, in the business zone."),
        examples=["2026-01-31"],
    ),
]
THEN: Final = "then"
NOW: Final = "now"
Model = Annotated[
    Literal["then", "now"],
    Field(
        json_schema_extra=_described(
            "Who scores a night that is published already: 'then' its own champions, so that only new facts change it, "
            "'now' those of today. Those of today score a night that was never published."
        )
    ),
]
Lists = Annotated[bool, Field(json_schema_extra=_described("Also decide a list for the nights that never had one."))]
RetentionName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        json_schema_extra=_described("Retention policy: a name in schemas/retentions, or the path of a YAML file."),
    ),
]
DryRun = Annotated[bool, Field(json_schema_extra=_described("Only say what would go, and what it would free."))]
Who = Annotated[
    str,
    Field(min_length=1, max_length=200, json_schema_extra=_described("Who decided it, for whoever reads the history.")),
]
Why = Annotated[
    str,
    Field(pattern=r"\S", max_length=2_000, json_schema_extra=_described("The reason, for whoever reads the history.")),
]
Action = Annotated[
    Literal["promote", "rollback"],
    Field(
        json_schema_extra=_described(
            "Make a version champion, or give the place back to the champion before, or to the version named."
        )
    ),
]
Version = Annotated[
    int | None,
    Field(
        ge=1,
        json_schema_extra=_described(
            "Number of the version. Empty, for a rollback: the champion before the present one."
        ),
    ),
]
Places = Annotated[
    str,
    Field(
        min_length=1,
        max_length=500,
        json_schema_extra=_described("Segments to change together, separated by commas; 'all' is the model of all."),
        examples=["all", "prepaid, postpaid"],
    ),
]
Expected = Annotated[
    int | None,
    Field(
        ge=0,
        json_schema_extra=_described(
            "Refuse where another than this version is champion now; 0 for nobody. Empty: whoever is champion."
        ),
    ),
]
Override = Annotated[
    bool, Field(json_schema_extra=_described("Promote against the gate's refusal, which the history then keeps."))
]
RunId = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{6,}-[0-9a-f]{8}$",
        json_schema_extra=_described("Name of the run to show again, as `score_history` and `night_status` have it."),
        examples=["000001-d3e18fe4"],
    ),
]
KeepDays = Annotated[
    int,
    Field(
        ge=1,
        le=3_650,
        json_schema_extra=_described("Days for which finished runs stay in the orchestrator's history."),
    ),
]
FlowRun = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        json_schema_extra=_described("Id of the orchestrator's run that fell silent."),
    ),
]
Patience = Annotated[
    int,
    Field(
        ge=1,
        le=3_600,
        json_schema_extra=_described("Seconds in which a run that lives is heard of; it beats every 30."),
    ),
]
Subject = Annotated[
    str, Field(min_length=1, max_length=500, json_schema_extra=_described("What happened, in one line."))
]
Body = Annotated[str, Field(max_length=5_000, json_schema_extra=_described("What is known of it, and where to look."))]


@contextmanager
def refused_in_words() -> Iterator[None]:
    """Turns Prefect's refusal of a flow's parameters into an error of ours, which names each of them."""
    try:
        yield
    except ParameterTypeError as refusal:
        _, _, faults = str(refusal).partition("\n")
        raise RequestError(
            faults.strip().removeprefix("- ") or str(refusal),
            where="parameters",
            to_do="See --help for what each may be.",
        ) from None
