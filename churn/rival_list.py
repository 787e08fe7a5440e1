"""Values whom another list names by what a policy believes, so that two lists compare in one currency of belief."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.allocation import NOWHERE
from churn.outreach import Judged
from churn.profit import Floats
from schemas.policy import Policy


class Believed(NamedTuple):
    """What the contacts of a list are worth by a policy, in money, and for how many of them it has no action."""

    money: float
    without_action: int


def believed(parts: Sequence[Judged], policy: Policy, listed: pa.Table) -> Believed:
    """What the policy believes of the contacts of another list: of `listed` the customer_id and the action.

    Each through the channel of his action, if the policy offers him anything there, or else through its best one. For
    whom it has no action counts nothing.
    """
    worth = np.concatenate([np.zeros(0), *(_worth(part, policy, listed) for part in parts)])
    answered = worth[np.isfinite(worth)]
    return Believed(float(answered.sum()), listed.num_rows - len(answered))


def _worth(judged: Judged, policy: Policy, listed: pa.Table) -> Floats:
    """What each of the part's listed customers is worth; -inf where nothing is offered to him."""
    place = pc.index_in(judged.customer_id.cast(pa.string()), listed["customer_id"].cast(pa.string()).combine_chunks())
    here = np.flatnonzero(place.is_valid())
    worth = judged.offers.worth[here]
    names = listed["action"].cast(pa.string()).take(place.drop_null())
    number = pc.fill_null(pc.index_in(names, pa.array([action.name for action in policy.actions], pa.string())), -1)
    channels = [policy.channel_names.index(action.channel) for action in policy.actions]
    channel = np.array([*channels, NOWHERE])[np.asarray(number)]
    own = np.where(channel == NOWHERE, -np.inf, worth[np.arange(len(here)), channel])
    return np.where(np.isfinite(own), own, worth.max(axis=1))
