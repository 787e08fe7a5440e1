"""What can be refused of a night before any of it has begun; its steps ask the same functions again."""

from __future__ import annotations

import tempfile
from datetime import date, datetime
from pathlib import Path

from churn.errors import SettingsError
from churn.night import LATEST, chosen_as_of, chosen_known_at
from churn.snapshot import Moment
from store.claims import Unit
from store.contracts import read_contract
from store.settings import Settings
from store.tables import SCORED


def unit_asked_for(
    contract: str, as_of: str | None, known_at: str | None, settings: Settings, due: date | None = None
) -> Unit | None:
    """The night that is asked for, told without its source; None where `latest` leaves that to the source.

    RequestError where there can be no such night, ContractError where there is no such contract.
    """
    base = read_contract(contract).name
    if as_of == LATEST:
        return None
    when = moment_asked_for(as_of, known_at, settings, due=due)
    return Unit(base, SCORED, when.as_of, when.known_at)


def moment_asked_for(
    as_of: str | None,
    known_at: str | None,
    settings: Settings,
    *,
    due: date | None = None,
    latest: date | None = None,
) -> Moment:
    """The date and the moment that are asked for, by default today's: the day that the run was `due`."""
    now = datetime.now(settings.zone).replace(tzinfo=None)
    date_scored = chosen_as_of(as_of, scheduled=due or now.date(), latest=latest)
    return Moment(date_scored, chosen_known_at(known_at, as_of=date_scored, now=now))


def require_room(settings: Settings) -> None:
    """SettingsError where the data or the artifacts cannot be written."""
    for variable, folder in (("CHURN_DATA", settings.data), ("CHURN_ARTIFACTS", settings.artifacts)):
        _require_writable(folder, variable)


def _require_writable(folder: Path, variable: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as failed:
        raise SettingsError(
            f"nothing can be written to {folder}: {failed.strerror}",
            where=variable,
            to_do=f"Name a folder in {variable}, or in CHURN_HOME for all, that this user may write to.",
        ) from None
