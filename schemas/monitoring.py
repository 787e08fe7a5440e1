"""What watching a night keeps: sizes of drift, scores, changes of the list, matured figures, alarms and mutes."""

from __future__ import annotations

from enum import StrEnum

from schemas.columns import Column, LogicalType, Table

EVERYTHING = "all"  # the segment of all customers; the subject of a mute that covers every alarm


class AlarmKind(StrEnum):
    """What it is that changes decisions."""

    DRIFT = "drift"  # the list forgoes money, since a feature is not as it was when the model learnt
    PROFIT = "profit"  # the list is expected to earn less than a month ago
    REASONS = "reasons"  # the list names other reasons than a month ago
    IDENTITY = "identity"  # the scores seem to be of other customers: a join gave rows to the wrong ones
    CALIBRATION = "calibration"  # more, or fewer, leave than was predicted; the order of customers is right
    DISCRIMINATION = "discrimination"  # leavers are told from stayers worse than on the test rows
    LOCAL = "local"  # more leave than was predicted among the customers of one value of a feature


class Remedy(StrEnum):
    """What helps against it; people are told in either case."""

    RETRAINING = "retraining"
    PEOPLE = "people"  # a feed is broken, or nothing says that the model is at fault


class AlarmState(StrEnum):
    """What became of an alarm on one night."""

    RAISED = "raised"  # people are told, and so is the orchestrator
    GOING_ON = "going on"  # it was raised on an earlier night, and what raised it has not ended
    COOLING_DOWN = "cooling down"  # it came again soon after it had ended
    MUTED = "muted"  # somebody asked not to be told for a while
    EXPLAINED = "explained"  # a feature moved, of which people were told by its name


class Diagnosis(StrEnum):
    """What a matured night says of its model."""

    SOUND = "sound"
    CALIBRATION = "calibration"  # as many leave as nobody predicted, but they are the ones who scored high
    DISCRIMINATION = "discrimination"  # those who leave are not the ones who scored high
    BOTH = "both"
    TOO_FEW = "too few"  # churners, to tell


def _column(name: str, logical_type: LogicalType, description: str, *, may_lack: bool = False) -> Column:
    return Column(name, logical_type, description, required=not may_lack)


_STRING, _INTEGER, _NUMBER, _DATE = LogicalType.STRING, LogicalType.INTEGER, LogicalType.NUMBER, LogicalType.DATE
_TIMESTAMP = LogicalType.TIMESTAMP
_CONTRACT = _column("contract", _STRING, "Contract of the base")
_AS_OF = _column("as_of", _DATE, "Date of the night that was watched")
_SEGMENT = _column("segment", _STRING, "Segment of the customers, or all")
_PLACE = _column("place", _STRING, "Segment whose champion scored the customers, or all")
_RUN = _column("run_id", _STRING, "Run of the scores that were watched")

FEATURES = Table(
    name="monitoring_feature",
    description="How each feature lies against the customers that its model learnt from, and what its drift costs",
    columns=(
        _CONTRACT,
        _AS_OF,
        _PLACE,
        _column("feature", _STRING, "Feature of the model"),
        _column("missing", _NUMBER, "Share of the customers without a value"),
        _column("missing_before", _NUMBER, "The same among the customers that the model learnt from"),
        _column("unseen", _NUMBER, "Share of the customers with a category that the model never met"),
        _column("unseen_before", _NUMBER, "The same among the customers that the model learnt from"),
        _column("minimum", _NUMBER, "Least value; null of a category", may_lack=True),
        _column("maximum", _NUMBER, "Largest value; null of a category", may_lack=True),
        _column("mean", _NUMBER, "Mean of the known values; null of a category", may_lack=True),
        _column("ks", _NUMBER, "Kolmogorov-Smirnov statistic: a size, no alarm; null of a category", may_lack=True),
        _column(
            "psi",
            _NUMBER,
            "Population stability index over the model's bins: a size, no alarm; null where they tell no values apart",
            may_lack=True,
        ),
        _column(
            "forgone",
            _NUMBER,
            "Money that tonight's list loses because the feature drifted; null where the model is no scorecard",
            may_lack=True,
        ),
        _column("forgone_share", _NUMBER, "The same, of what the best list would earn", may_lack=True),
        _column(
            "overlap",
            _NUMBER,
            "Share of the list that it would be, had the feature not drifted, that is also on tonight's",
            may_lack=True,
        ),
        _column("first_reason", _NUMBER, "Share of the best list whose first reason it is"),
        _column("first_reason_before", _NUMBER, "The same of the best list of a month ago", may_lack=True),
        _RUN,
    ),
    primary_key=("contract", "as_of", "place", "feature"),
)

SCORE_SPREADS = Table(
    name="monitoring_score",
    description="How the scores of each segment are spread, against those of a month ago, and what they let expect",
    columns=(
        _CONTRACT,
        _AS_OF,
        _SEGMENT,
        _column("customers", _INTEGER, "Scored customers"),
        _column("mean", _NUMBER, "Mean probability: the share that is predicted to leave"),
        _column("tenth", _NUMBER, "Probability that a tenth of the customers are below"),
        _column("half", _NUMBER, "Probability that half of the customers are below"),
        _column("nine_tenths", _NUMBER, "Probability that nine tenths of the customers are below"),
        _column("top_percent", _NUMBER, "Probability that 99 percent of the customers are below"),
        _column("mean_before", _NUMBER, "Mean probability a month ago", may_lack=True),
        _column("psi", _NUMBER, "Population stability index of the probability against a month ago", may_lack=True),
        _column(
            "order_kept",
            _NUMBER,
            "Rank correlation of the scores of who was scored on an earlier night, too; null of too few",
            may_lack=True,
        ),
        _column("order_as_of", _DATE, "That night: the last that was watched and that nobody doubts", may_lack=True),
        _column("expected_auc", _NUMBER, "Estimate: the AUC, if probabilities are right", may_lack=True),
        _column(
            "expected_rate",
            _NUMBER,
            "Estimate: the share that will leave, by the latest matured night's error",
            may_lack=True,
        ),
        _column(
            "em_rate",
            _NUMBER,
            "Estimate: the share of churners by EM from the scores alone (Saerens 2002); null of a segment that has no "
            "champion of its own",
            may_lack=True,
        ),
        _column("matured_rate", _NUMBER, "Share that left of the latest night whose horizon is over", may_lack=True),
        _column("matured_as_of", _DATE, "Date of that night", may_lack=True),
        _RUN,
    ),
    primary_key=("contract", "as_of", "segment"),
)

DECISIONS = Table(
    name="monitoring_decision",
    description="What changed in whom to contact and what that earns, against a month ago: one row per night",
    columns=(
        _CONTRACT,
        _AS_OF,
        _column("places", _INTEGER, "Contacts a day that the policy has capacity for"),
        _column("open", _INTEGER, "Customers whom no rule of suppression keeps from being contacted"),
        _column("expected_profit", _NUMBER, "What the best list of so many would earn, by tonight's scores, in money"),
        _column("before_as_of", _DATE, "Night of about a month ago that this one is compared with", may_lack=True),
        _column(
            "expected_profit_before",
            _NUMBER,
            "What the best list of that night would have earned by its own scores, in money",
            may_lack=True,
        ),
        _column(
            "overlap_before",
            _NUMBER,
            "Share of the list that its scores would give tonight that is also on tonight's list",
            may_lack=True,
        ),
        _column(
            "reasons_moved", _NUMBER, "Share of first reasons of the best list that are others than then", may_lack=True
        ),
        _column("forgone", _NUMBER, "The most that drift of one feature makes the list forgo, in money", may_lack=True),
        _column("forgone_feature", _STRING, "That feature; null where nothing is forgone", may_lack=True),
        _column("matured_as_of", _DATE, "Latest night whose horizon is over", may_lack=True),
        _column(
            "observed_to_predicted",
            _NUMBER,
            "Of that night: leavers against those predicted, not contacted",
            may_lack=True,
        ),
        _column("observed_to_predicted_low", _NUMBER, "Lower end of its 95 % interval", may_lack=True),
        _column("observed_to_predicted_high", _NUMBER, "Upper end of its 95 % interval", may_lack=True),
        _column(
            "lift", _NUMBER, "What all matured waves changed: share that left, listed less held out", may_lack=True
        ),
        _column("lift_low", _NUMBER, "Lower end of its 95 % interval", may_lack=True),
        _column("lift_high", _NUMBER, "Upper end of its 95 % interval", may_lack=True),
        _column("saved", _NUMBER, "What they saved, in money", may_lack=True),
        _column("alarms", _INTEGER, "Alarms that were raised that night"),
        _RUN,
    ),
    primary_key=("contract", "as_of"),
)

BACKTEST = Table(
    name="monitoring_backtest",
    description="What became of each night's scores once its horizon was over, of all customers and of parts of them",
    columns=(
        _CONTRACT,
        _AS_OF,
        _column("feature", _STRING, "By which the customers are told apart: all, segment, or a feature's name"),
        _column("value", _STRING, "The segment, or the feature's value; all"),
        _column("customers", _NUMBER, "Customers who were not contacted; each held out stands for those listed, too"),
        _column("churners", _NUMBER, "Of them, who left within the horizon"),
        _column(
            "squares",
            _NUMBER,
            "Sum of the churners' squared weights; the number of churners where each counts as one",
            may_lack=True,
        ),
        _column("observed", _NUMBER, "Share that left"),
        _column("predicted", _NUMBER, "Mean probability"),
        _column("observed_to_predicted", _NUMBER, "Churners against the sum of probabilities; 1 is right"),
        _column("observed_to_predicted_low", _NUMBER, "Lower end of its 95 % interval"),
        _column("observed_to_predicted_high", _NUMBER, "Upper end of its 95 % interval"),
        _column(
            "auc", _NUMBER, "Chance that a leaver scored above a stayer; null with too few churners", may_lack=True
        ),
        _column("auc_error", _NUMBER, "Standard error of the AUC", may_lack=True),
        _column("auc_before", _NUMBER, "The AUC on the test rows that its model was judged on", may_lack=True),
        _column(
            "lift_10",
            _NUMBER,
            "Top-decile lift: churn among the tenth that scored highest, times the rate",
            may_lack=True,
        ),
        _column("calibration_slope", _NUMBER, "Slope of the log-odds that fits best; 1 is right", may_lack=True),
        _column("empc", _NUMBER, "Expected maximum profit of a campaign, in money per customer", may_lack=True),
        _column(
            "profit_at_capacity",
            _NUMBER,
            "Profit of contacting as many as can be, in money per customer",
            may_lack=True,
        ),
        Column("diagnosis", _STRING, "What it says of the model", required=True, allowed=tuple(Diagnosis)),
        _column("model_version", _INTEGER, "Number of the model that scored all, or most of them"),
        _column("known_at", _TIMESTAMP, "Up to when the source told who left, business time", may_lack=True),
        _RUN,
    ),
    primary_key=("contract", "as_of", "feature", "value"),
)

ALARMS = Table(
    name="alarm",
    description="What changed decisions, each night that it did: named, with its money and the first thing to do",
    columns=(
        _CONTRACT,
        _AS_OF,
        Column("kind", _STRING, "What changed", required=True, allowed=tuple(AlarmKind)),
        _column("subject", _STRING, "The feature, the feature's value, or the kind itself where there is no feature"),
        _PLACE,
        Column("state", _STRING, "Whether people were told, or why not", required=True, allowed=tuple(AlarmState)),
        _column("size", _NUMBER, "How large it is, as a multiple of what raises an alarm"),
        _column("money", _NUMBER, "What it costs a list, in money; null where that cannot be told", may_lack=True),
        _column("says", _STRING, "What happened, in a sentence"),
        _column("to_do", _STRING, "The first thing to do"),
        Column(
            "remedy",
            _STRING,
            "Whether a retraining helps, or people alone; null of an earlier release",
            allowed=tuple(Remedy),
        ),
        _column("raised_as_of", _DATE, "Night on which it was raised; null where it never was", may_lack=True),
        _column("muted_by", _STRING, "Who muted it", may_lack=True),
        _column("muted_until", _DATE, "Last night that the mute holds for", may_lack=True),
        _column(
            "told_at",
            _TIMESTAMP,
            "When it was logged and handed to the orchestrator as an event, UTC; null until it is",
            may_lack=True,
        ),
        _RUN,
    ),
    primary_key=("contract", "as_of", "kind", "subject", "place"),
)

MUTES = Table(
    name="mute",
    description="Who asked not to be told of which alarm, until when and why; of a subject the latest row holds",
    columns=(
        _CONTRACT,
        _column("subject", _STRING, "Subject of the alarms that are muted, or all"),
        _column("recorded_at", _TIMESTAMP, "When it was asked for, UTC"),
        _column("until", _DATE, "Last night that it holds for"),
        _column("who", _STRING, "Who asked for it"),
        _column("why", _STRING, "The reason given"),
    ),
    primary_key=("contract", "subject", "recorded_at"),
)

# The tables that a night's watching writes anew when it is repeated.
OF_A_NIGHT = (FEATURES, SCORE_SPREADS, DECISIONS, ALARMS)
