"""What a dialler or a CRM gets of an outreach list: whom to contact, how and with which words, and nothing to judge by.

Scores, money and reasons stay here: an agent needs none of them, and no file that left the house can be called back.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

HANDED_OVER = ("as_of", "rank", "customer_id", "team", "action", "channel", "agent_says")

# A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection), also behind blanks or in full width.
_BEGINS = r"(\s*[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]|[\t\r\n])"
_FORMULA, _DISARMED = f"^{_BEGINS}", f"^'{_BEGINS}"


def handed_over(listed: pa.Table, team: str | None = None, channel: str | None = None) -> pa.Table:
    """The rows of OUTREACH that a team and a channel have, or all, in order of rank, with what they need of them."""
    for name, wanted in (("team", team), ("channel", channel)):
        if wanted is not None:
            listed = listed.filter(pc.equal(listed[name].cast(pa.string()), wanted))
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


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or (pa.types.is_dictionary(kind) and pa.types.is_string(kind.value_type)))
