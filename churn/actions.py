"""From reasons to offers: which of the policy's actions answers whom, and what each is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from churn.profit import Floats, expected_value
from schemas.policy import REASON, Action, Policy
from schemas.scores import REASONS_UP

Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int16]

PAIRED = " & "  # between the two features of a reason that is a pair
NO_ACTION = -1
REASON_PLACES = tuple(range(1, REASONS_UP + 1))


@dataclass(frozen=True, slots=True, eq=False)
class Offers:
    """The best action for each of n customers in each of c channels, and its expected value in money; both [n, c].

    Where no action answers the customer's reasons, or his value is not known, the action is NO_ACTION and worth -inf.
    `answered` [n] says for whom there is an action at all, `customer_value` [n] what keeping each is worth.
    """

    action: Places
    worth: Floats
    answered: Flags
    customer_value: Floats


def offers(rows: pa.Table, customer_value: Floats, policy: Policy) -> Offers:
    """What the policy has for each customer.

    `rows` has the probability and, where an action asks for reasons, the score table's reason columns.
    """
    shape = rows.num_rows, len(policy.channels)
    action, worth = np.full(shape, NO_ACTION, np.int16), np.full(shape, -np.inf)
    answered = np.zeros(rows.num_rows, np.bool_)
    probability = np.asarray(rows["probability"], np.float64)
    for number, offered in enumerate(policy.actions):
        answers, channel = is_answered(rows, offered), policy.channel_names.index(offered.channel)
        gain = expected_value(probability, customer_value, offered)
        better = answers & (gain > worth[:, channel])  # never where the gain is not known
        action[better, channel], worth[better, channel] = number, gain[better]
        answered |= answers
    return Offers(action, worth, answered, customer_value)


def is_answered(rows: pa.Table, action: Action) -> Flags:
    """Whether one of the reasons of each customer is one that the action answers. Shape (n,)."""
    answered = np.full(rows.num_rows, not action.answers)
    for place in REASON_PLACES if action.answers else ():
        answered |= _is_among(rows[f"reason_{place}_feature"], action)
    return answered


def sentences(rows: pa.Table, action: Action, titles: Mapping[str, str]) -> pa.Array:
    """What the agent reads of each customer for whom the action is meant; of shape (n,).

    It names the strongest reason that the action answers, in words where these tell of nothing else, and by the
    feature's title where the reason is a pair: the pair's other half may be what no agent should know. `rows` has the
    score table's reason columns, `titles` what people call each feature.
    """
    before, named, after = action.says.partition(REASON)
    if not named:
        return pa.repeat(pa.scalar(action.says), rows.num_rows)
    told = pc.coalesce(*(_told(rows, place, action, titles) for place in REASON_PLACES))
    return pc.binary_join_element_wise(before, told, after, "")


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
