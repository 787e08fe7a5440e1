"""What the service says of outreach lists, and what it is told of the contacts that they led to."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import date
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from schemas.interventions import Event, Name
from schemas.messages import EXAMPLE_KEY, LONGEST_TEXT
from schemas.moments import Day, Happened, UtcMoment
from schemas.outreach import Status

MOST_ROWS = 100  # of a page
USUAL_ROWS = 50
MOST_INTERVENTIONS = 1_000  # of a request
LARGEST_INTERVENTIONS = 512 * 1024  # bytes; a thousand with names of usual length take 300 kB
LONGEST_CURSOR = 600
MOST_FIELDS = 100  # of an object that is sent, declared or not

# No signs that nobody sees: PostgreSQL has no text with NUL in it, and people read these words.
Words = Annotated[str, Field(max_length=100, pattern=r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$")]


class Asked(BaseModel):
    """What a caller sends: nothing that is not declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, given: Any) -> Any:
        """Each that is not declared takes a kilobyte to tell, and a caller chooses how many there are."""
        if isinstance(given, dict) and len(given) > MOST_FIELDS:
            raise ValueError(f"it has more than {MOST_FIELDS} fields")
        return given


class PageAsked(Asked):
    """Which customers of which list, and how many at once."""

    as_of: Day | None = Field(default=None, description="Date of the list; the newest where none is named")
    team: Words | None = Field(default=None, description="Only this team's customers")
    status: str = Field(
        default=Status.LISTED.value,
        max_length=60,
        pattern=r"^[a-z][a-z0-9_]*$",
        description="Only customers of this status of the night",
    )
    limit: int = Field(default=USUAL_ROWS, ge=1, le=MOST_ROWS, description="Customers on a page")
    cursor: str | None = Field(
        default=None, max_length=LONGEST_CURSOR, pattern=r"^[A-Za-z0-9_-]+$", description="next_cursor of a page"
    )


class ListReason(BaseModel):
    """Why a customer may leave, without what it adds."""

    feature: str
    value: str | None = Field(description="What the customer has there, in words")


class Judgement(BaseModel):
    """What decided over a customer: money and scores, which those who talk to customers do not get."""

    segment: str | None = Field(description="Segment of the customer")
    rule: str | None = Field(description="The rule of the policy that decided, in words")
    probability: float | None = Field(description="Calibrated probability of leaving")
    customer_value: float | None = Field(description="Value of keeping the customer, in money")
    keep_probability: float | None = Field(description="Chance that the action keeps one who would have left")
    expected_value: float | None = Field(description="Expected gain of the contact, in money")
    listed_since: date | None = Field(description="First night of the customer's present stay on the list")
    reasons: list[ListReason] = Field(description="What raises the risk, the strongest first; three at most")
    model_digest: str | None = Field(description="sha256 of the model's artifact")
    policy_digest: str = Field(description="sha256 of the decision policy")


class ListedCustomer(BaseModel):
    """A customer with one status of a night's list: all that is needed to contact who is listed."""

    customer_id: str
    rank: int | None = Field(description="Place on the list, 1 is the most worth; null for who is not listed")
    team: str | None = Field(description="Team that contacts the customer")
    action: str | None = Field(description="Action of the policy that is to be done")
    channel: str | None = Field(description="Channel of the action")
    agent_says: str | None = Field(description="What the agent reads")
    judgement: Judgement | None = Field(description="Null for agents and programs")


class ListPage(BaseModel):
    """A page of one published list, in order of rank; all pages that a cursor leads to are of that same list."""

    as_of: date = Field(description="Date that the list is for")
    known_at: AwareDatetime = Field(description="Moment up to which facts had arrived, in business time")
    revision: int = Field(description="1 for the list's first publication")
    handed_over_at: UtcMoment | None = Field(description="When it was handed over, UTC; null while it may be replaced")
    status: str = Field(examples=[Status.LISTED.value])
    customers: list[ListedCustomer]
    next_cursor: str | None = Field(description="Asks for the next page; null on the last")


class HandoverAsked(Asked):
    """Which list is taken over."""

    as_of: Day | None = Field(default=None, description="Date of the list; the newest where none is named")


class HandedOver(BaseModel):
    """A list that counts as sent: no other takes its place any more."""

    as_of: date
    run_id: str = Field(description="The run whose list it is")
    customers: int = Field(description="How many are on the list")
    handed_over_at: UtcMoment = Field(description="When it was handed over first, UTC")


class Cursor(BaseModel):
    """Where a page ended: opaque to callers, and checked like all else that they send."""

    model_config = ConfigDict(extra="forbid", strict=True)

    as_of: str = Field(max_length=10)
    fence: int = Field(ge=0, le=2**53)
    after: Annotated[int, Field(ge=0, le=2**53)] | Annotated[str, Field(max_length=LONGEST_TEXT, pattern=r"^[^\x00]*$")]
    of: str = Field(max_length=64, description="Digest of what else was asked")

    def written(self) -> str:
        """The cursor as callers see it."""
        return urlsafe_b64encode(self.model_dump_json().encode()).decode().rstrip("=")


def read_cursor(text: str) -> Cursor:
    """The cursor that was written so; ValueError where it never was."""
    return Cursor.model_validate_json(urlsafe_b64decode(text + "=" * (-len(text) % 4)))


class InterventionAsked(Asked):
    """One event of one customer's contact."""

    customer_id: Words
    as_of: Day = Field(description="Date of the list that named the customer")
    action: Name
    channel: Name
    team: Words
    event: Event
    agent: Words | None = Field(default=None, description="Who made the contact; whoever asks, where none is named")
    occurred_at: Happened = Field(description="When it happened, with its zone")
    key: Words | None = Field(
        default=None, description="The caller's own name for the event; made of Idempotency-Key where there is none"
    )


_EXAMPLE: JsonDict = {
    "customer_id": EXAMPLE_KEY,
    "as_of": "2026-01-01",
    "team": "north",
    "channel": "phone",
    "action": "service_call",
    "event": Event.REACHED.value,
    "occurred_at": "2026-01-02T10:30:00+01:00",
}


class InterventionsAsked(Asked):
    """Events that are written back together."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"interventions": [_EXAMPLE]}]})

    interventions: list[InterventionAsked] = Field(min_length=1, max_length=MOST_INTERVENTIONS)


class InterventionRefused(BaseModel):
    """An event that was not kept, and why; the others of the request are."""

    key: str
    why: str


class InterventionsKept(BaseModel):
    """What came of the events: each is kept once, however often it is sent."""

    new: int = Field(description="Kept now")
    known: int = Field(description="Kept already, with the same content")
    refused: list[InterventionRefused]
