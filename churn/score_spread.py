"""How scores are spread, and what they alone let expect before anybody knows who left: estimates, called so."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt

import numpy as np

from churn.drift import shares, stability_index
from churn.metrics import probability
from churn.ranking import weighed
from churn.scorecard import Floats, Ints

# A hundredth of log-odds is a hundredth of the probability at most, and no base has scores beyond these ends.
LOWEST, HIGHEST, STEPS_A_UNIT = -15.0, 10.0, 100
COARSER = 25  # steps in a bin of the stability index
FEWEST_EXPECTED = 100  # churners of a model's customers; of fewer the estimate is a guess, and nothing goes by it
# The odds of a base rise or fall at most so many times. Beyond it the scores moved, and not the share of churners: by a
# model that tells few apart, a fiftieth less of each probability is likeliest where nobody leaves at all.
MOST_TIMES = 3.0
TOLD_APART = 0.1  # of the spread that ranks have at most: where fewer are told apart, a few customers make the order
HALVINGS = 40  # of the rates that may be, to find the likeliest

_EDGES = np.linspace(LOWEST, HIGHEST, int((HIGHEST - LOWEST) * STEPS_A_UNIT) + 1)
_CHANCE = probability((_EDGES[1:] + _EDGES[:-1]) / 2.0)


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """How many customers score in each of many narrow steps of log-odds; who is beyond the ends is in an outer one."""

    counts: Floats = field(repr=False)

    @classmethod
    def of(cls, log_odds: Floats) -> Spread:
        """The spread of the scores of some customers."""
        return cls(np.bincount(_steps(log_odds), minlength=len(_CHANCE)).astype(np.float64))

    @property
    def customers(self) -> int:
        """How many there are."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        """The mean probability."""
        return weighed(shares(self.counts), _CHANCE)

    def below(self, share: float) -> float:
        """The probability that this share of the customers is below."""
        place = int(np.searchsorted(np.cumsum(self.counts), share * self.counts.sum()))
        return float(_CHANCE[min(place, len(_CHANCE) - 1)])

    def expected_auc(self) -> float | None:
        """An estimate: the AUC that comes if every probability is right; None where nobody is told from anybody."""
        churners, stayers = self.counts * _CHANCE, self.counts * (1.0 - _CHANCE)
        pairs = float(churners.sum() * stayers.sum())
        below = np.cumsum(stayers) - stayers / 2.0
        return weighed(churners, below) / pairs if pairs else None

    def moved_from(self, before: Spread) -> float:
        """The population stability index against other scores."""
        return stability_index(shares(_coarse(self.counts)), shares(_coarse(before.counts)))

    def em_rate(self, trained_rate: float) -> float:
        """An estimate: the share of churners under which these scores are likeliest.

        Where expectation and maximisation ends (Saerens, Latinne and Decaestecker 2002, Neural Computation 14, 21-41);
        that creeps where scores tell little, so the same rate is found by halves. It holds where the base has more or
        fewer churners of the same kinds as when the model learnt, and churners score no other than they did.
        `trained_rate` is the rate that the model was calibrated to.
        """
        mass, churners, stayers = shares(self.counts), _CHANCE / trained_rate, (1.0 - _CHANCE) / (1.0 - trained_rate)
        low, high = 0.0, 1.0
        for _ in range(HALVINGS):
            rate = (low + high) / 2.0
            likelier_above = weighed(mass, (churners - stayers) / (rate * churners + (1.0 - rate) * stayers)) > 0.0
            low, high = (rate, high) if likelier_above else (low, rate)
        return (low + high) / 2.0


def odds_by_em(log_odds: Floats, trained_rate: float) -> float:
    """By what the odds of a model's customers are multiplied, by EM from their scores alone.

    1 where these say nothing: of too few, and where they would say more than `MOST_TIMES` times as much, or as little.
    `trained_rate` is the share of churners that the model was calibrated to.
    """
    spread = Spread.of(log_odds)
    if spread.customers * spread.mean < FEWEST_EXPECTED:
        return 1.0
    rate = spread.em_rate(trained_rate)
    odds = rate / (1.0 - rate) / (trained_rate / (1.0 - trained_rate))
    return odds if 1.0 / MOST_TIMES <= odds <= MOST_TIMES else 1.0


def rank_correlation(one: Floats, other: Floats) -> float | None:
    """Spearman's correlation of two scores of the same customers, [customers]; None where one hardly tells any apart.

    Who is in the same narrow step counts as alike.
    """
    ranks = [_ranks(_steps(log_odds)) for log_odds in (one, other)]
    spreads = [float(rank @ rank) for rank in ranks]
    told_apart = min(spreads) > TOLD_APART * _most_spread(len(one))
    return float(ranks[0] @ ranks[1]) / sqrt(spreads[0] * spreads[1]) if told_apart else None


def _most_spread(many: int) -> float:
    """The sum of squares of the ranks of so many, of whom no two are alike."""
    return many * (many * many - 1) / 12.0


def _steps(log_odds: Floats) -> Ints:
    """The narrow step that each score is in."""
    return np.asarray(np.clip(np.floor((log_odds - LOWEST) * STEPS_A_UNIT), 0, len(_CHANCE) - 1), np.int64)


def _ranks(steps: Ints) -> Floats:
    """The rank of each, from the middle one on; who is in one step shares the mean of their ranks."""
    counts = np.bincount(steps)
    middles = np.cumsum(counts) - (counts + len(steps)) / 2.0
    return np.asarray(middles[steps])


def _coarse(counts: Floats) -> Floats:
    return np.add.reduceat(counts, np.arange(0, len(counts), COARSER))
