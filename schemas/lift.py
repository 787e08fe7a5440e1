"""What the waves saved: one row per wave and action, and one for all waves together, each time it was measured."""

from __future__ import annotations

from enum import StrEnum

from schemas.columns import Column, LogicalType, Table

ALL_ACTIONS = "all"


class Scope(StrEnum):
    """Which customers a row compares."""

    WAVE = "wave"  # those who came into the wave of one date
    WAVES = "waves"  # those of all waves between two dates, each once
    CHAMPION = "champion"  # of those, whom a lot left to the champion where a challenger had a share
    CHALLENGER = "challenger"  # and those about whom the challenger decided


class Verdict(StrEnum):
    """What a comparison shows."""

    SAVES = "saves"
    HARMS = "harms"
    NO_DIFFERENCE = "no difference seen"
    NOT_YET = "not yet"  # too few customers for the smallest effect that is worth finding
    NOT_TRUSTED = "not to be trusted"  # the split was no lot


def _column(name: str, logical_type: LogicalType, description: str, *, may_lack: bool = False) -> Column:
    return Column(name, logical_type, description, required=not may_lack)


_STRING, _INTEGER, _NUMBER = LogicalType.STRING, LogicalType.INTEGER, LogicalType.NUMBER

LIFT = Table(
    name="lift",
    description="What waves saved, by intention to treat: churn of the listed against churn of those held out by lot",
    columns=(
        _column("contract", _STRING, "Contract of the base"),
        _column("known_at", LogicalType.TIMESTAMP, "Moment up to which departures and contacts count, business time"),
        Column(
            "scope",
            _STRING,
            "wave, waves, or the champion's or challenger's share",
            required=True,
            allowed=tuple(Scope),
        ),
        _column("first_as_of", LogicalType.DATE, "Date of the first wave that counts"),
        _column("last_as_of", LogicalType.DATE, "Date of the last wave that counts"),
        _column("action", _STRING, "Action of the policy, or all"),
        _column("listed", _INTEGER, "Customers who came onto the list"),
        _column("held_out", _INTEGER, "Customers who would have, and were held out by lot"),
        _column("listed_churned", _INTEGER, "Of the listed, who left within the horizon, contacted or not"),
        _column("held_out_churned", _INTEGER, "Of those held out, who left within the horizon"),
        _column("effect", _NUMBER, "Share that left, listed less held out, over strata; negative saves", may_lack=True),
        _column("effect_low", _NUMBER, "Lower end of its 95 % interval", may_lack=True),
        _column("effect_high", _NUMBER, "Upper end of its 95 % interval", may_lack=True),
        _column("saved", _NUMBER, "Value kept less what the contacts cost, in money", may_lack=True),
        _column("saved_low", _NUMBER, "Lower end of its 95 % interval", may_lack=True),
        _column("saved_high", _NUMBER, "Upper end of its 95 % interval", may_lack=True),
        _column("spent", _NUMBER, "What the contacts and accepted offers cost, in money"),
        _column("contacted", _INTEGER, "Of the listed, whom somebody tried to contact, as written back"),
        _column("accepted", _INTEGER, "Of the listed, who accepted an offer, as written back"),
        _column("leaked", _INTEGER, "Of those held out, whom somebody contacted nevertheless: should be 0"),
        _column("sample_ratio_p", _NUMBER, "Chance of so uneven a lot; below 0.001 it was no lot", may_lack=True),
        _column("needed", _INTEGER, "Customers that show a fifth less churn in 8 of 10 cases", may_lack=True),
        _column("weeks_more", _INTEGER, "Weeks until so many are there; 0 where they are", may_lack=True),
        Column("verdict", _STRING, "What the comparison shows", required=True, allowed=tuple(Verdict)),
        _column("alarm", _STRING, "What is wrong with the lot or the holdout; null where nothing is", may_lack=True),
        _column("says", _STRING, "The verdict in a sentence"),
    ),
    primary_key=("contract", "known_at", "scope", "first_as_of", "last_as_of", "action"),
)
