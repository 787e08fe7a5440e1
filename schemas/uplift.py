"""What lots have told of each action: whether two scorecards of its effect earn more than the policy's own belief."""

from __future__ import annotations

from enum import StrEnum

from schemas.columns import Column, LogicalType, Table


class UpliftVerdict(StrEnum):
    """Whether lists leave those alone whom an action's measured effect advises against."""

    PAYS = "pays"  # they do, from the next list on
    NO_GAIN = "no gain seen"  # the policy's keep probability alone decides
    NOT_YET = "not yet"  # too few have left to learn from


def _column(name: str, logical_type: LogicalType, description: str, *, may_lack: bool = False) -> Column:
    return Column(name, logical_type, description, required=not may_lack)


_STRING, _INTEGER, _NUMBER = LogicalType.STRING, LogicalType.INTEGER, LogicalType.NUMBER

UPLIFT = Table(
    name="uplift",
    description="What two scorecards of each action's effect would have earned of the waves' customers, by their lot",
    columns=(
        _column("contract", _STRING, "Contract of the base"),
        _column("known_at", LogicalType.TIMESTAMP, "Moment up to which departures and contacts count, business time"),
        _column("action", _STRING, "Action of the policy"),
        _column("listed", _INTEGER, "Customers who came onto the list for it, and whose row is kept"),
        _column("held_out", _INTEGER, "Customers who would have, and were held out by lot"),
        _column("listed_churned", _INTEGER, "Of the listed, who left within the horizon, contacted or not"),
        _column("held_out_churned", _INTEGER, "Of those held out, who left within the horizon"),
        _column("needed", _INTEGER, "Customers of waves from whom two scorecards can learn", may_lack=True),
        _column("gained", _NUMBER, "Money a customer of the waves that the effects gain over beliefs", may_lack=True),
        _column("gained_low", _NUMBER, "Lower end of its 95 % interval", may_lack=True),
        _column("gained_high", _NUMBER, "Upper end of its 95 % interval", may_lack=True),
        Column("verdict", _STRING, "What the lot shows", required=True, allowed=tuple(UpliftVerdict)),
        _column("says", _STRING, "The verdict in a sentence"),
        _column("uplift_digest", _STRING, "sha256 of the effects that lists go by; null: of none", may_lack=True),
        _column("look", _INTEGER, "How many times such effects were tried by then, this one counted", may_lack=True),
        _column("gained_surely", _NUMBER, "Gain that all looks together overstate once in 40 times", may_lack=True),
        _column("members_digest", _STRING, "sha256 of what was tried: the same again is no new look", may_lack=True),
    ),
    primary_key=("contract", "known_at", "action"),
)
