"""A list as a night decides it, for tests of what storage says of one afterwards."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from churn.evidence import Decided, Issue
from churn.listing import FROM_SCORES, is_listed, list_rows, listed_rows, status_rows, team_rows
from churn.outreach import Terms, judge
from churn.scorecard import Scorecard
from churn.wave import draw
from tests.policies import nothing_before


def decided_by(terms: Terms, scores: pa.Table, challengers: Mapping[str, Scorecard | None] | None = None) -> Decided:
    """What the terms make of scores with the columns that they look at, where nobody was contacted before."""
    past = nothing_before(terms.policy)
    judged = judge(scores, terms, past)
    wave = draw([judged.candidates], terms.policy)
    [places] = wave.parts
    statuses = status_rows(judged, places, terms)
    theirs = scores.select(FROM_SCORES).filter(pa.array(is_listed(judged, places)))
    return Decided(
        issue=Issue("list", 1),
        statuses=statuses,
        listed=list_rows([listed_rows(theirs, statuses, judged, places)], terms),
        teams=team_rows([judged], wave, terms),
        terms=terms,
        past=past,
        challengers=dict(challengers or {}),
    )
