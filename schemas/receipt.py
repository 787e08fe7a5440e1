"""A receipt: everything needed to recompute one customer's decision for one night, and what an agent may read of it."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict, Field

Value = bool | int | float | str | date | datetime | None


class Part(BaseModel):
    """A part of a receipt; it never changes once it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Fact(Part):
    """A column of the customer row that the score or the decision looked at, as it was known."""

    column: str
    title: str = Field(description="How a person calls it")
    value: Value = Field(description="What was known; null where nothing was")


class Addend(Part):
    """A term of the model's log-odds for the customer."""

    feature: str = Field(description="The feature, or both of a pair")
    value: str = Field(description="What the customer has there, in words")
    log_odds: float = Field(description="What it adds to the log-odds; below 0 it lowers the risk")


class Score(Part):
    """The published score and all that adds up to it.

    Of a scorecard, `intercept` and the terms add up to `log_odds` to the bit when they are added one after another, in
    this order. Of an estimator they are its contributions, and add up but for rounding.
    """

    run_id: str = Field(description="The run that published it")
    revision: int = Field(description="1 for the night's first publication")
    model_version: int
    model_digest: str
    contract_digest: str
    segment: str
    log_odds: float
    probability: float
    band: str
    percentile: int
    customer_value: float | None = Field(description="Value of keeping the customer, in money")
    intercept: float | None = Field(description="Null where the terms are not known any more")
    terms: tuple[Addend, ...] = Field(description="Every term, in the order in which they are added")


class Offer(Part):
    """What one action of the policy would have been worth."""

    action: str
    channel: str
    answers: bool = Field(description="Whether a reason or cause of the customer asks for it, or none need to")
    cause: str | None = Field(description="The cause of the action's that the customer meets")
    expected_value: float | None = Field(description="In money; null where the customer's value is not known")
    keep_probability: float | None = Field(description="Chance that it keeps one who would have left")


class Decision(Part):
    """What the list said of the customer, and why."""

    run_id: str
    revision: int
    policy: str = Field(description="Name of the policy; empty where it is not known any more")
    policy_version: str
    policy_digest: str
    status: str = Field(description="listed, held_out, or the one reason that keeps the customer off")
    rule: str = Field(description="The rule that decided, in words")
    arm: str | None = Field(description="treated or holdout, of who is worth a contact and may have one")
    model_arm: str | None = Field(
        default=None, description="champion or challenger, by lot, where a challenger decided about a share"
    )
    model_digest: str | None = Field(
        default=None, description="sha256 of the model that decided; of a challenger's arm it is not the score's"
    )
    action: str | None
    team: str | None
    expected_value: float | None
    wave_since: date | None
    rank: int | None = Field(description="Place on the list, 1 is the most worth")
    channel: str | None
    agent_says: str | None
    cut: float | None = Field(description="Expected value of the last customer on the team's list")
    shadow_price: float | None = Field(description="What one more contact of the team would have added, in money")
    uplift_digest: str | None = Field(description="sha256 of the effects that left customers alone; null: none did")
    offers: tuple[Offer, ...] = Field(description="Every action of the policy; none where its text is gone")


class Outcome(Part):
    """What a team wrote back of the contact."""

    event: str
    occurred_at: datetime = Field(description="UTC")
    recorded_at: datetime = Field(description="UTC")
    channel: str
    action: str
    team: str
    agent: str


class Receipt(Part):
    """One customer's night, for an analyst.

    `recomputed` names what was reckoned again from storage and is equal to what was published, to the bit; `missing`
    says in sentences what is kept no longer, and so could not be.
    """

    contract: str
    customer_id: str
    as_of: date
    known_at: datetime
    facts: tuple[Fact, ...]
    score: Score
    decision: Decision | None = Field(description="Null where no list of the night is kept")
    outcomes: tuple[Outcome, ...]
    recomputed: tuple[str, ...]
    missing: tuple[str, ...]


class AgentReceipt(Part):
    """The same night for whoever talks to the customer: only what he can do something about, and no figures."""

    customer_id: str
    as_of: date
    action: str | None = Field(description="What to do; null for who is not on the list")
    channel: str | None
    agent_says: str | None
    reasons: tuple[str, ...] = Field(description="Why the customer may leave, in words, the strongest first")
