"""Reads what a dialler or a CRM sends back: a CSV with a line for each event of a contact."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from churn.errors import RequestError
from churn.handover import rearmed
from schemas.interventions import Intervention
from store.interventions import Refusal
from store.pages_of_list import unlisted
from store.settings import Settings
from store.tables import answering, engine_for

STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class WriteBacks:
    """The events of a file, and the lines that are none."""

    interventions: tuple[Intervention, ...]
    refused: tuple[Refusal, ...]


def read_write_backs(file: str, contract: str) -> WriteBacks:
    """The events in the CSV, or in standard input for `-`; a line that names no contract is of this one.

    RequestError where the file cannot be read, or has a column too few or too many.
    """
    rows = _rows(file)
    _require_columns(rows.column_names, file)
    found = [_read(row | {"contract": row.get("contract") or contract}) for row in rows.to_pylist()]
    return WriteBacks(
        tuple(one for one in found if isinstance(one, Intervention)),
        tuple(one for one in found if isinstance(one, Refusal)),
    )


def of_listed_nights(settings: Settings, events: Sequence[Intervention]) -> tuple[list[Intervention], list[Refusal]]:
    """The events of nights that had a list, and the others, each with what to do."""
    engine = engine_for(settings.database_url)
    with answering(engine), engine.connect() as connection:
        whys = unlisted(connection, events)
    refused = [Refusal(one.key, why) for one, why in zip(events, whys, strict=True) if why]
    return [one for one, why in zip(events, whys, strict=True) if not why], refused


def _rows(file: str) -> pa.Table:
    from pyarrow import csv  # few commands read one

    try:
        content = sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes()
        as_text = csv.ConvertOptions(column_types=dict.fromkeys(Intervention.model_fields, pa.string()))
        rows = csv.read_csv(pa.BufferReader(content), convert_options=as_text)
    except OSError as failed:
        raise RequestError(f"it cannot be read: {failed.strerror}", where=file, to_do="Check the path.") from None
    except pa.ArrowInvalid as failed:
        raise RequestError(f"it is no CSV in UTF-8: {failed}", where=file, to_do="Correct the file.") from None
    texts = [rearmed(column) if pa.types.is_string(column.type) else column for column in rows.columns]
    return pa.table(texts, names=rows.column_names)


def _require_columns(found: list[str], file: str) -> None:
    wanted = set(Intervention.model_fields)
    lacking, strange = wanted - {"contract"} - set(found), set(found) - wanted
    told = [
        f"{what} {', '.join(sorted(names))}" for what, names in (("it lacks", lacking), ("it has", strange)) if names
    ]
    if told:
        raise RequestError(
            f"{', and '.join(told)}", where=file, to_do=f"Give it the columns {', '.join(Intervention.model_fields)}."
        )


def _read(row: Mapping[str, Any]) -> Intervention | Refusal:
    try:
        return Intervention.model_validate({name: value for name, value in row.items() if value})
    except ValidationError as wrong:
        why = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in wrong.errors())
        return Refusal(row["key"] or "(no key)", why)
