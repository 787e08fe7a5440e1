"""What a dialler or a CRM gets of an outreach list: whom to contact, how and with which words, and nothing to judge by.

Scores, money and reasons stay here: an agent needs none of them, and no file that left the house can be called back.
"""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from churn.errors import RequestError
from schemas.policy import Policy

HANDED_OVER = ("as_of", "rank", "customer_id", "team", "action", "channel", "agent_says")

# A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection), also in full width, or behind blanks
# and signs that nobody sees. What looks disarmed is disarmed once more, so that each cell comes back as it was.
_BEGINS = r"'*([\pZ\pC]*[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]|[\t\r\n])"
_FORMULA, _DISARMED = f"^{_BEGINS}", f"^'{_BEGINS}"


def handed_over(
    listed: pa.Table, team: str | None = None, channel: str | None = None, *, policy: Policy | None = None
) -> pa.Table:
    """The rows of OUTREACH that a team and a channel have, or all, in order of rank, with what they need of them.

    RequestError for a name that neither the list nor the policy that decided it knows.
    """
    teams, channels = ([team.name for team in policy.teams], policy.channel_names) if policy else ((), ())
    for name, wanted, known in (("team", team, teams), ("channel", channel, channels)):
        if wanted is not None:
            names = listed[name].cast(pa.string())
            _require_known(name, wanted, {*known, *pc.unique(names).to_pylist()})
            listed = listed.filter(pc.equal(names, wanted))
    return listed.select(list(HANDED_OVER)).sort_by("rank")


def disarmed(rows: pa.Table) -> pa.Table:
    """The rows with an apostrophe before each text that a spreadsheet would take for a formula."""
    for place, field in enumerate(rows.schema):
        if _is_text(field.type):
            text = rows.column(place).cast(pa.string())
            safe = pc.if_else(
                pc.match_substring_regex(text, _FORMULA), pc.binary_join_element_wise("'", text, ""), text
            )
            rows = rows.set_column(place, field.name, safe)
    return rows


def rearmed(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """The texts as they were before `disarmed` had them, for what comes back."""
    return pc.if_else(pc.match_substring_regex(text, _DISARMED), pc.utf8_slice_codeunits(text, 1), text)


def _require_known(name: str, wanted: str, known: Collection[str]) -> None:
    if wanted not in known:
        raise RequestError(
            f"the list knows no {name} of that name",
            where=f"{name} {wanted}",
            to_do=f"Name one of: {', '.join(sorted(known)) or 'none, the list is empty'}.",
        )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or (pa.types.is_dictionary(kind) and pa.types.is_string(kind.value_type)))
