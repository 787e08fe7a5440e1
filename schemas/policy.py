"""A decision policy: what may be done for customers, who does it, what it costs, and who is left alone."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
Text = Annotated[str, Field(min_length=1, max_length=500)]
# Numbers are strict: true is no capacity, and neither is the text '100'.
Money = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False, strict=True)]
Factor = Annotated[float, Field(gt=0, le=1_000, strict=True)]
Places = Annotated[int, Field(ge=0, le=10_000_000, strict=True)]
Days = Annotated[int, Field(ge=0, le=3_650, strict=True)]
Limit = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Value = StrictBool | StrictInt | StrictStr  # what a column of a customer row may be compared with

REASON = "{reason}"  # where an agent's sentence names the reason that the action answers


class Part(BaseModel):
    """A part of a policy; a field that nothing would act on is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Condition(Part):
    """What a column of the customer row must hold: a value, a number within limits, or (`missing`) nothing.

    Of a customer of whom the column says nothing, none but `missing: true` holds; of all others `missing: false` does.
    """

    column: str
    equals: Value | None = None
    above: Limit | None = None
    at_least: Limit | None = None
    below: Limit | None = None
    at_most: Limit | None = None
    missing: StrictBool | None = None

    @property
    def asked(self) -> dict[str, bool | int | float | str]:
        """What is asked of the column, by the names of the fields; missing is not among them."""
        told = {name: getattr(self, name) for name in ("equals", "above", "at_least", "below", "at_most")}
        return {name: value for name, value in told.items() if value is not None}


class Cause(Part):
    """What must ail a customer for an action to change something: each of the conditions in `when` holds.

    `keeps` is the share of such customers who would have left that the action keeps, below 0 where it drives others
    away: a standing belief until a holdout has measured it. `says` is what the agent reads in place of the action's.
    """

    name: Name
    when: Annotated[tuple[Condition, ...], Field(min_length=1, max_length=10)]
    keeps: Annotated[float, Field(ge=-1, le=1, strict=True)]
    says: Text | None = None


class Action(Part):
    """What may be done for a customer, and the channel that it needs.

    `keep_probability` is the chance that it keeps a customer who would have left: a standing assumption until a holdout
    has measured it. `offer_cost` is paid when a customer takes the offer, `contact_cost` for every contact. It is
    offered to those of whom one of the features in `answers` is a reason, or to all where it names none. `says` is what
    the agent reads.

    An action with `causes` is offered to those who meet one of them, and keeps as many as the first that a customer
    meets says; its `keep_probability` then counts only where all actions are taken together, to judge models.
    """

    name: Name
    channel: Name
    offer_cost: Money
    contact_cost: Money
    keep_probability: Annotated[float, Field(gt=0, le=1, strict=True)]
    answers: tuple[str, ...] = ()
    causes: Annotated[tuple[Cause, ...], Field(max_length=20)] = ()
    says: Text

    @property
    def cause_columns(self) -> tuple[str, ...]:
        """The columns of the customer row that its causes look at, each once."""
        return tuple(sorted({condition.column for cause in self.causes for condition in cause.when}))


class Channel(Part):
    """A way to reach customers: how many it reaches a day, without limit where `capacity` is left out.

    Whoever was contacted there is left alone there for `cool_down_days`.
    """

    name: Name
    capacity: Places | None = None
    cool_down_days: Days = 0


class Team(Part):
    """Who contacts customers, and how many a day: those whose `team_by` column has one of the values in `of`.

    A team without `of` has all whom no other team has. Where there is no `team_by`, chance deals the customers out in
    proportion to `share`, those of a household to one team where households are looked at.
    """

    name: Name
    capacity: Places
    of: tuple[Value, ...] = ()
    share: Factor = 1.0


class CustomerValue(Part):
    """What keeping a customer is worth: a column of the customer row, or the score's own value, times `multiplier`."""

    column: str = ""
    multiplier: Factor = 1.0


class Suppression(Part):
    """Customers whose `column` equals `equals` get `status` and are not contacted, `because`.

    Where the contract gives the column the role consent, neither are those of whom it says nothing.
    """

    status: Name
    column: str
    equals: Value
    because: Text


class CoolDown(Part):
    """For how many days a customer is left alone, on every channel, after each of these.

    `wave_days` count from the first night of a stay in a wave, for those who were contacted and for those who were held
    out: only so do both stay alike, and the effect of contacts can be told. Where some are held out they are no fewer
    than the days of the contract's horizon.
    """

    wave_days: Days = 0
    refused_days: Days = 0
    accepted_days: Days = 0


class Holdout(Part):
    """The share of customers who are left out by lot, so that the effect of contacts can be measured.

    A lot holds for `valid_days`, and for those in a wave until their stay is over, as for who joins them there from
    their household; it is one for all members of a household, or for each customer. Policies that name the same
    `experiment` draw the same lots.
    """

    share: Annotated[float, Field(ge=0, le=0.5, strict=True)] = 0.0
    valid_days: Annotated[int, Field(ge=1, le=3_650, strict=True)] = 90
    unit: Literal["customer", "household"] = "household"
    experiment: Name = "holdout"


class ChallengerTraffic(Part):
    """The share of customers about whom a challenger decides, if one is in the shadow, in the champion's place.

    A lot holds for `valid_days`, whoever is champion or challenger meanwhile; it is one for all members of a household,
    or for each customer. Policies that name the same `experiment` draw the same lots.
    """

    share: Annotated[float, Field(ge=0, le=0.5, strict=True)] = 0.0
    valid_days: Annotated[int, Field(ge=1, le=3_650, strict=True)] = 90
    unit: Literal["customer", "household"] = "household"
    experiment: Name = "challenger"


class Policy(Part):
    """A versioned policy file.

    Money is in the currency of the customer's value; capacities are contacts a day. `household_limit` is how many
    members of a household may be in a wave within the `wave_days` of cooling down; where one lives whom a night does
    not score is known if lots are drawn by household. Who is in a wave stays in it for `stickiness_days` nights, unless
    one of the rules says otherwise.

    With `prior_by_em` contacts are worth what they would be if as many of each model's customers leave as the night's
    scores alone let expect (EM), and not as many as the model was calibrated to; published scores stay as they are. It
    is right where a base has more or fewer churners of the same kinds, and wrong where a model tells few of them apart:
    see `em_rate` beside `matured_rate` in monitoring_score before it is switched on. Beyond three times the odds, or
    below a third, it is not taken; it cannot stand beside `challenger_traffic`.

    The list is the best there is, and the price of one more place exact, but for a household limit where members of a
    household have different teams or wait for a channel with a capacity: then who gives way to whom is sought step by
    step. Of 3,000 small bases with households in two teams the list of 7 was not the best (80 % of it at the least),
    and 19 of 6,000 prices were wrong; with a scarce channel no list of 300, and 18 prices.
    """

    name: Name
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    description: Text
    actions: Annotated[tuple[Action, ...], Field(min_length=1, max_length=50)]
    channels: Annotated[tuple[Channel, ...], Field(min_length=1, max_length=10)]
    teams: Annotated[tuple[Team, ...], Field(min_length=1, max_length=100)]
    team_by: str = ""
    customer_value: CustomerValue = CustomerValue()
    minimum_expected_value: Money = 0.0
    suppress: tuple[Suppression, ...] = ()
    cool_down: CoolDown = CoolDown()
    household_limit: Annotated[int, Field(ge=1, strict=True)] | None = None
    holdout: Holdout = Holdout()
    challenger_traffic: ChallengerTraffic = ChallengerTraffic()
    stickiness_days: Annotated[int, Field(ge=1, le=366, strict=True)] = 1
    prior_by_em: StrictBool = False

    @property
    def capacity(self) -> int:
        """The contacts a day of all teams together."""
        return sum(team.capacity for team in self.teams)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The names of the channels, in order."""
        return tuple(channel.name for channel in self.channels)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the customer row that the policy looks at by name, each once."""
        named = [rule.column for rule in self.suppress] + [self.team_by, self.customer_value.column]
        causes = [name for action in self.actions for name in action.cause_columns]
        return tuple(sorted({name for name in named + causes if name}))

    @property
    def looks_at_households(self) -> bool:
        """Whether it matters who lives together."""
        lots = self.holdout, self.challenger_traffic
        return self.household_limit is not None or any(lot.share > 0 and lot.unit == "household" for lot in lots)

    @property
    def asks_for_reasons(self) -> bool:
        """Whether an action is offered for some reasons only."""
        return any(action.answers for action in self.actions)

    @property
    def asks_for_causes(self) -> bool:
        """Whether an action is offered for some causes only."""
        return any(action.causes for action in self.actions)
