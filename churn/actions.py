"""From reasons to offers: which of the policy's actions answers whom, and what each is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from churn.causes import NO_CAUSE, cause_of, keep_of
from churn.profit import Floats, expected_value, value_of_effect
from churn.scorecard import PAIRED
from schemas.policy import REASON, Action, Policy
from schemas.scores import REASONS_UP

Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int16]

NO_ACTION = -1
REASON_PLACES = tuple(range(1, REASONS_UP + 1))


@dataclass(frozen=True, slots=True, eq=False)
class Offers:
    """The best action for each of n customers in each of c channels, and its expected value in money; both [n, c].

    Where no action answers the customer's reasons, or his value is not known, the action is NO_ACTION and worth -inf.
    `keep` [n, c] is the chance that it keeps one who would have left, and `cause` [n, c] the place of the action's
    cause that he meets. `answered` [n] says for whom there is an action at all, `customer_value` [n] what keeping each
    is worth.
    """

    action: Places
    cause: Places
    worth: Floats
    keep: Floats
    answered: Flags
    customer_value: Floats


class Gain(NamedTuple):
    """What an action is worth for each customer, in money, and the chance that it keeps one who would leave; [n]."""

    worth: Floats
    keep: Floats


def offers(rows: pa.Table, customer_value: Floats, policy: Policy, effects: Floats | None = None) -> Offers:
    """What the policy has for each customer.

    `rows` has the probability and, where an action asks for them, the score table's reason columns and those that
    causes look at. `effects` [n, actions] are by how much each action lowers the risk, NaN where no lot told so.
    """
    shape = rows.num_rows, len(policy.channels)
    action, cause = np.full(shape, NO_ACTION, np.int16), np.full(shape, NO_CAUSE, np.int16)
    worth, keep = np.full(shape, -np.inf), np.zeros(shape)
    answered = np.zeros(rows.num_rows, np.bool_)
    for number, offered in enumerate(policy.actions):
        answers, channel = is_answered(rows, offered), policy.channel_names.index(offered.channel)
        gain = gain_of(rows, customer_value, offered, None if effects is None else effects[:, number])
        better = answers & (gain.worth > worth[:, channel])  # never where the gain is not known
        action[better, channel], worth[better, channel] = number, gain.worth[better]
        keep[better, channel] = gain.keep[better]
        cause[better, channel] = cause_of(rows, offered.causes)[better]
        answered |= answers
    return Offers(action, cause, worth, keep, answered, customer_value)


def gain_of(rows: pa.Table, customer_value: Floats, action: Action, effect: Floats | None = None) -> Gain:
    """What the action is worth by its standing keep probability, and by its `effect` [n] where lots told that it loses.

    `rows` has the probability, and the columns that the action's causes look at: who meets none is worth NaN. An effect
    leaves customers alone and ranks nobody: lots were drawn of those in waves alone, so that they can tell what sparing
    some of these earns, and not what others would who never were. Who is worth nothing by the first was in no wave, and
    no effect counts. None is more than the whole risk.
    """
    probability, believed = np.asarray(rows["probability"], np.float64), keep_of(rows, action)
    standing = expected_value(probability, customer_value, action, believed)
    if effect is None:
        return Gain(standing, believed)
    lowered = np.minimum(effect, probability)
    told = value_of_effect(probability, lowered, customer_value, action)
    spared = (told <= 0.0) & (standing > 0.0) & (probability > 0.0)  # never where no lot told
    return Gain(np.where(spared, told, standing), np.divide(lowered, probability, out=believed, where=spared))


def is_answered(rows: pa.Table, action: Action) -> Flags:
    """Whether one of the reasons of each customer is one that the action answers, or he meets a cause. Shape (n,)."""
    if action.causes:
        return np.asarray(cause_of(rows, action.causes) != NO_CAUSE)
    answered = np.full(rows.num_rows, not action.answers)
    for place in REASON_PLACES if action.answers else ():
        answered |= _is_among(rows[f"reason_{place}_feature"], action)
    return answered


def sentences(rows: pa.Table, action: Action, titles: Mapping[str, str]) -> pa.Array:
    """What the agent reads of each customer for whom the action is meant; of shape (n,).

    It names the strongest reason that the action answers, in words where these tell of nothing else, and by the
    feature's title where the reason is a pair: the pair's other half may be what no agent should know. `rows` has the
    score table's reason columns and the place of the `cause` that he meets, `titles` what people call each feature. A
    cause names no reason: what it says is the policy's own words.
    """
    if action.causes:
        return _said_of_causes(np.asarray(rows["cause"]), action)
    before, named, after = action.says.partition(REASON)
    if not named:
        return pa.repeat(pa.scalar(action.says), rows.num_rows)
    told = pc.coalesce(*(_told(rows, place, action, titles) for place in REASON_PLACES))
    return pc.binary_join_element_wise(before, told, after, "")


def _said_of_causes(cause: Places, action: Action) -> pa.Array:
    said = [each.says or action.says for each in action.causes]
    # Customers of other actions may meet causes that this one does not have.
    return pa.array(said, pa.string()).take(pa.array(np.clip(cause, 0, len(said) - 1)))


def _told(rows: pa.Table, place: int, action: Action, titles: Mapping[str, str]) -> pa.Array:
    """The reason of that place as an agent may read it; null where the action does not answer it."""
    features = _encoded(rows[f"reason_{place}_feature"])
    alone = pa.array([PAIRED not in word for word in features.dictionary.to_pylist()], pa.bool_())
    by_title = pa.array([_title(word, action, titles) for word in features.dictionary.to_pylist()], pa.string())
    value = rows[f"reason_{place}_value"].combine_chunks().cast(pa.string())
    words = pc.if_else(alone.take(features.indices), value, by_title.take(features.indices))
    return pc.if_else(pa.array(_is_among(features, action)), words, None)


def _title(word: str, action: Action, titles: Mapping[str, str]) -> str | None:
    return next((titles.get(part, part) for part in word.split(PAIRED) if part in action.answers), None)


def _is_among(features: pa.Array | pa.ChunkedArray, action: Action) -> Flags:
    encoded = _encoded(features)
    wanted = [not set(action.answers).isdisjoint(word.split(PAIRED)) for word in encoded.dictionary.to_pylist()]
    nowhere = len(wanted)  # where a null is sent
    codes = pc.fill_null(encoded.indices.cast(pa.int32()), nowhere)
    return np.asarray(np.append(np.array(wanted, np.bool_), False)[np.asarray(codes)])


def _encoded(texts: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    if isinstance(whole, pa.ChunkedArray):  # of an empty table, or of several dictionaries
        whole = pa.concat_arrays(whole.cast(pa.string()).chunks) if whole.num_chunks else pa.array([], pa.string())
    return whole if isinstance(whole, pa.DictionaryArray) else whole.cast(pa.string()).dictionary_encode()
