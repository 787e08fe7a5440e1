"""Watches a published night, keeps what changed, and tells whom it concerns."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from prefect.artifacts import create_image_artifact, create_markdown_artifact

from churn.alarms import Alarm, alarms_of
from churn.monitoring import alarm_rows, watch, with_alarms
from churn.monitoring_page import history_svg, night_html, night_markdown
from churn.night import LATEST, date_of
from churn.remedy import remedy_for
from schemas.monitoring import ALARMS, BACKTEST, DECISIONS, FEATURES, OF_A_NIGHT, SCORE_SPREADS, AlarmState
from store import monitoring
from store.settings import current_settings
from tasks.afterwards import told_where_it_fails
from tasks.backtest import follow_up
from tasks.events import DRIFT_DETECTED, tell
from tasks.monitoring_night import as_watched
from tasks.monitoring_runs import matured_until, published_night
from tasks.night import Night
from tasks.orchestrator import worth_no_failure
from tasks.progress import begun, warned
from tasks.step import LATER, step

STEP = "watch the night"


@dataclass(frozen=True, slots=True)
class Seen:
    """What watching a night came to: the alarms, those of it and of earlier nights that people were not told of, the
    page, and the last date whose horizon was over by what was known that night.

    `contract` is what the contract is read by, its name or the path of its file, and `base` its own name.
    """

    contract: str
    base: str
    as_of: date
    alarms: tuple[Alarm, ...]
    new: tuple[Alarm, ...]
    page: Path
    matured_until: date


@step("choose the night of {contract} to watch", again_after=LATER)
def chosen_night(contract: str, as_of: str | None) -> date:
    """The date that was asked for, or the newest published night; RequestError where it is none or has no list."""
    asked = None if as_of in (None, LATEST) else date_of(str(as_of))
    return published_night(contract, asked).night.as_of


@step("watch {contract} as of {as_of}", again_after=LATER)
def watch_night(contract: str, as_of: date) -> Seen:
    """Keeps what changed in features, scores and list, and which of it is an alarm; a night may be watched again."""
    begun(STEP)
    published = published_night(contract, as_of)
    settings, base = published.settings, published.contract.name
    night = as_watched(published)
    found = watch(night)
    alarms = tuple(alarms_of(found.findings, as_of, monitoring.past_of(settings, base, as_of)))
    raised = [alarm for alarm in alarms if alarm.state is AlarmState.RAISED]
    told = monitoring.told_of(settings, base, as_of)
    rows = {
        FEATURES.name: found.features,
        SCORE_SPREADS.name: found.scores,
        DECISIONS.name: with_alarms(found.decision, len(raised)),
        ALARMS.name: alarm_rows(alarms, night.watched, told),
    }
    monitoring.keep_night(settings, base, as_of, rows)
    until = matured_until(published)
    html = night_html(rows | {BACKTEST.name: monitoring.kept_backtest(settings, base, until)})
    page = monitoring.keep_page(html, base, as_of, settings)
    muted = {alarm.finding.key for alarm in alarms if alarm.state is AlarmState.MUTED}
    new = tuple(one for one in monitoring.untold(settings, base, as_of) if one.finding.key not in muted)
    return Seen(contract, base, as_of, alarms, new, page, until)


@step("tell what changed decisions", again_after=LATER)
def tell_of(seen: Seen) -> Seen:
    """Leaves what was found as artifacts; and of alarms that nobody was told of tells the orchestrator, and the log."""
    settings = current_settings()
    rows = {schema.name: monitoring.kept_night(settings, schema, seen.base, seen.as_of) for schema in OF_A_NIGHT}
    title = f"What changed in {seen.base} as of {seen.as_of}"
    picture = b64encode(
        history_svg(monitoring.kept_backtest(settings, seen.base, seen.matured_until)).encode()
    ).decode()
    with worth_no_failure("what changed"):
        create_markdown_artifact(key="monitoring", description=title, markdown=night_markdown(rows))
        image = f"data:image/svg+xml;base64,{picture}"
        create_image_artifact(key="monitoring-plot", description=title, image_url=image)
    tell_people(seen)
    return seen


def tell_people(seen: Seen) -> None:
    """Tells the log and the orchestrator of what people were not told of yet.

    What cannot be told now is told by the next watch: the row in the table says whether it was.
    """
    for alarm in seen.new:
        warned(f"{seen.base} as of {alarm.raised_as_of}: {alarm.finding.says.rstrip('.')}. {alarm.finding.to_do}")
    if seen.new:
        with worth_no_failure("the event of the alarms"):
            tell(DRIFT_DETECTED, about=seen.base, payload=_payload(seen))
            monitoring.keep_told(current_settings(), seen.base, seen.new)


@step("watch {night.base} as of {night.as_of}")
def watch_published(night: Night) -> Seen | None:
    """The same for a night that was just published, and stays so whatever becomes of watching it: None if it failed."""
    with told_where_it_fails(night, "what became of past nights could not be seen"):
        follow_up.fn(night.contract, night.as_of)
    with told_where_it_fails(night, "could not be watched"):
        return tell_of.fn(watch_night.fn(night.contract, night.as_of))
    return None


def _payload(seen: Seen) -> dict[str, object]:
    """The event's words: the largest alarm, and the names of all that are new."""
    largest = seen.new[0].finding
    return {
        "contract": seen.contract,
        "as_of": seen.as_of,
        "why": largest.says,
        "to_do": largest.to_do,
        "kind": largest.kind.value,
        "subject": largest.subject,
        "money": largest.money,
        "remedy": remedy_for([alarm.finding for alarm in seen.new], seen.alarms).value,
        "subjects": ", ".join(alarm.finding.subject for alarm in seen.new),
    }
