"""What watching a night keeps."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Makes the tables; store/migrated_views.py makes the views behind every step."""
    for make in (_make_features, _make_score_spreads, _make_decisions, _make_backtest, _make_alarms, _make_mutes):
        make()


def _make_features() -> None:
    op.create_table(
        "monitoring_feature",
        _column("contract", sa.Text, "Contract of the base"),
        _column("as_of", sa.Date, "Date of the night that was watched"),
        _column("place", sa.Text, "Segment whose champion scored the customers, or all"),
        _column("feature", sa.Text, "Feature of the model"),
        _column("missing", sa.Double, "Share of the customers without a value"),
        _column("missing_before", sa.Double, "The same among the customers that the model learnt from"),
        _column("unseen", sa.Double, "Share of the customers with a category that the model never met"),
        _column("unseen_before", sa.Double, "The same among the customers that the model learnt from"),
        _column("minimum", sa.Double, "Least value; null of a category", nullable=True),
        _column("maximum", sa.Double, "Largest value; null of a category", nullable=True),
        _column("mean", sa.Double, "Mean of the known values; null of a category", nullable=True),
        _column("ks", sa.Double, "Kolmogorov-Smirnov statistic: a size, no alarm; null of a category", nullable=True),
        _column("psi", sa.Double, "Population stability index over the model's bins: a size, no alarm"),
        _column(
            "forgone",
            sa.Double,
            "What the list forgoes because of it, in money a list; null of no scorecard",
            nullable=True,
        ),
        _column("forgone_share", sa.Double, "The same, of what the best list would earn", nullable=True),
        _column(
            "overlap", sa.Double, "Share of the list, were the feature as before, that is on tonight's", nullable=True
        ),
        _column("first_reason", sa.Double, "Share of the listed whose first reason it is"),
        _column("first_reason_before", sa.Double, "The same on the list of a month ago", nullable=True),
        _column("run_id", sa.Text, "Run of the scores that were watched"),
        sa.PrimaryKeyConstraint("contract", "as_of", "place", "feature"),
        comment="How each feature lies against the customers that its model learnt from, and what its drift costs",
    )


def _make_score_spreads() -> None:
    op.create_table(
        "monitoring_score",
        _column("contract", sa.Text, "Contract of the base"),
        _column("as_of", sa.Date, "Date of the night that was watched"),
        _column("segment", sa.Text, "Segment of the customers, or all"),
        _column("customers", sa.BigInteger, "Scored customers"),
        _column("mean", sa.Double, "Mean probability: the share that is predicted to leave"),
        _column("tenth", sa.Double, "Probability that a tenth of the customers are below"),
        _column("half", sa.Double, "Probability that half of the customers are below"),
        _column("nine_tenths", sa.Double, "Probability that nine tenths of the customers are below"),
        _column("top_percent", sa.Double, "Probability that 99 percent of the customers are below"),
        _column("mean_before", sa.Double, "Mean probability a month ago", nullable=True),
        _column("psi", sa.Double, "Population stability index of the probability against a month ago", nullable=True),
        _column("expected_auc", sa.Double, "Estimate: the AUC, if probabilities are right", nullable=True),
        _column(
            "expected_rate",
            sa.Double,
            "Estimate: the share that will leave, by the latest matured night's error",
            nullable=True,
        ),
        _column(
            "em_rate",
            sa.Double,
            "Estimate: the share of churners by EM from the scores alone (Saerens 2002)",
            nullable=True,
        ),
        _column("matured_rate", sa.Double, "Share that left of the latest night whose horizon is over", nullable=True),
        _column("matured_as_of", sa.Date, "Date of that night", nullable=True),
        _column("run_id", sa.Text, "Run of the scores that were watched"),
        sa.PrimaryKeyConstraint("contract", "as_of", "segment"),
        comment="How the scores of each segment are spread, against those of a month ago, and what they let expect",
    )


def _make_decisions() -> None:
    op.create_table(
        "monitoring_decision",
        _column("contract", sa.Text, "Contract of the base"),
        _column("as_of", sa.Date, "Date of the night that was watched"),
        _column("places", sa.BigInteger, "Contacts a day that the policy has capacity for"),
        _column("open", sa.BigInteger, "Customers whom no rule of suppression keeps from being contacted"),
        _column(
            "expected_profit", sa.Double, "What the best list of so many would earn, by tonight's scores, in money"
        ),
        _column("before_as_of", sa.Date, "Night of about a month ago that this one is compared with", nullable=True),
        _column("expected_profit_before", sa.Double, "What that night's would, by its scores, in money", nullable=True),
        _column(
            "overlap_before",
            sa.Double,
            "Share of the list by its scores that is on the list by tonight's",
            nullable=True,
        ),
        _column(
            "reasons_moved", sa.Double, "Share of first reasons on the list that are others than then", nullable=True
        ),
        _column(
            "forgone", sa.Double, "The most that drift of one feature makes the list forgo, in money", nullable=True
        ),
        _column("forgone_feature", sa.Text, "That feature; null where nothing is forgone", nullable=True),
        _column("matured_as_of", sa.Date, "Latest night whose horizon is over", nullable=True),
        _column(
            "observed_to_predicted",
            sa.Double,
            "Of that night: leavers against those predicted, not contacted",
            nullable=True,
        ),
        _column("observed_to_predicted_low", sa.Double, "Lower end of its 95 % interval", nullable=True),
        _column("observed_to_predicted_high", sa.Double, "Upper end of its 95 % interval", nullable=True),
        _column(
            "lift", sa.Double, "What all matured waves changed: share that left, listed less held out", nullable=True
        ),
        _column("lift_low", sa.Double, "Lower end of its 95 % interval", nullable=True),
        _column("lift_high", sa.Double, "Upper end of its 95 % interval", nullable=True),
        _column("saved", sa.Double, "What they saved, in money", nullable=True),
        _column("alarms", sa.BigInteger, "Alarms that were raised that night"),
        _column("run_id", sa.Text, "Run of the scores that were watched"),
        sa.PrimaryKeyConstraint("contract", "as_of"),
        comment="What changed in whom to contact and what that earns, against a month ago: one row per night",
    )


def _make_backtest() -> None:
    op.create_table(
        "monitoring_backtest",
        _column("contract", sa.Text, "Contract of the base"),
        _column("as_of", sa.Date, "Date of the night that was watched"),
        _column("feature", sa.Text, "By which the customers are told apart: all, segment, or a feature's name"),
        _column("value", sa.Text, "The segment, or the feature's value; all"),
        _column("customers", sa.Double, "Customers who were not contacted; each held out stands for those listed, too"),
        _column("churners", sa.Double, "Of them, who left within the horizon"),
        _column("observed", sa.Double, "Share that left"),
        _column("predicted", sa.Double, "Mean probability"),
        _column("observed_to_predicted", sa.Double, "Churners against the sum of probabilities; 1 is right"),
        _column("observed_to_predicted_low", sa.Double, "Lower end of its 95 % interval"),
        _column("observed_to_predicted_high", sa.Double, "Upper end of its 95 % interval"),
        _column(
            "auc", sa.Double, "Chance that a leaver scored above a stayer; null with too few churners", nullable=True
        ),
        _column("auc_error", sa.Double, "Standard error of the AUC", nullable=True),
        _column("auc_before", sa.Double, "The AUC on the test rows that its model was judged on", nullable=True),
        _column(
            "lift_10",
            sa.Double,
            "Top-decile lift: churn among the tenth that scored highest, times the rate",
            nullable=True,
        ),
        _column("calibration_slope", sa.Double, "Slope of the log-odds that fits best; 1 is right", nullable=True),
        _column("empc", sa.Double, "Expected maximum profit of a campaign, in money per customer", nullable=True),
        _column(
            "profit_at_capacity",
            sa.Double,
            "Profit of contacting as many as can be, in money per customer",
            nullable=True,
        ),
        _column("diagnosis", sa.Text, "What it says of the model"),
        _column("model_version", sa.BigInteger, "Number of the model that scored all, or most of them"),
        _column("run_id", sa.Text, "Run of the scores that were watched"),
        sa.PrimaryKeyConstraint("contract", "as_of", "feature", "value"),
        comment="What became of each night's scores once its horizon was over, of all customers and of parts of them",
    )


def _make_alarms() -> None:
    op.create_table(
        "alarm",
        _column("contract", sa.Text, "Contract of the base"),
        _column("as_of", sa.Date, "Date of the night that was watched"),
        _column("kind", sa.Text, "What changed"),
        _column("subject", sa.Text, "The feature, the feature's value, or the kind itself where there is no feature"),
        _column("place", sa.Text, "Segment whose champion scored the customers, or all"),
        _column("state", sa.Text, "Whether people were told, or why not"),
        _column("size", sa.Double, "How large it is, as a multiple of what raises an alarm"),
        _column("money", sa.Double, "What it costs a list, in money; null where that cannot be told", nullable=True),
        _column("says", sa.Text, "What happened, in a sentence"),
        _column("to_do", sa.Text, "The first thing to do"),
        _column("raised_as_of", sa.Date, "Night on which it was raised; null where it never was", nullable=True),
        _column("muted_by", sa.Text, "Who muted it", nullable=True),
        _column("muted_until", sa.Date, "Last night that the mute holds for", nullable=True),
        _column("run_id", sa.Text, "Run of the scores that were watched"),
        sa.PrimaryKeyConstraint("contract", "as_of", "kind", "subject", "place"),
        comment="What changed decisions, each night that it did: named, with its money and the first thing to do",
    )


def _make_mutes() -> None:
    op.create_table(
        "mute",
        _column("contract", sa.Text, "Contract of the base"),
        _column("subject", sa.Text, "Subject of the alarms that are muted, or all"),
        _column("recorded_at", sa.DateTime, "When it was asked for, UTC"),
        _column("until", sa.Date, "Last night that it holds for"),
        _column("who", sa.Text, "Who asked for it"),
        _column("why", sa.Text, "The reason given"),
        sa.PrimaryKeyConstraint("contract", "subject", "recorded_at"),
        comment="Who asked not to be told of which alarm, until when and why; of a subject the latest row holds",
    )


def _column(name: str, kind: type[TypeEngine[Any]], comment: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=nullable, comment=comment)
