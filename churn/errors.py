"""Every error a user can meet, each naming what, where, and what to do.

ChurnError
  x SettingsError        a variable of the environment is missing or wrong
  x ContractError        a contract breaks the standard or one of its own rules
  x SourceError
    * SourceUnreachable  the source is not there, or does not answer
      + SourceMissing    there is no such file, or none of a kind that can be read
    * SourceMismatch     columns or types differ from the contract
    * SourceEmpty        a table has no rows
    * SourceStale        the table of an earlier night came again
  x QualityError         a critical check failed, nothing is published
  x TrainingError        a model cannot be trained honestly on this data
  x RegistryError
    * NoChampion         nobody holds the place that was asked for
    * ArtifactRefused    a model's files differ from what was registered
      + NotSigned        nobody whom the environment trusts has signed a model
    * PromotionRefused   the gate refused it, or the champion is not the one that was expected
  x PublicationError
    * AlreadyRunning     another run holds this night
    * Fenced             a younger run has taken this night over
    * AuditFailed        the copies differ from the manifest
  x PolicyError          a decision policy breaks its schema or contradicts itself
  x StoreUnreachable     the database of the tables and the registry does not answer
  x RequestError         a parameter of a command or a flow is not possible
  x OrchestratorUnreachable  Prefect's server does not answer
  x ServiceUnreachable   the API does not answer, or does not let the night in
  x Stopped              a person stopped the command
"""

from __future__ import annotations


class ChurnError(Exception):
    """The root of the family. `what` went wrong, `where` it was seen, what `to_do` about it."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", to_do: str = "") -> None:
        super().__init__(what, where, to_do)
        self.what = what
        self.where = where
        self.to_do = to_do

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f"\n  {self.to_do}" if self.to_do else ""
        return f"{place}{self.what}{advice}"

    def __reduce__(self) -> tuple[object, ...]:
        """Keyword-only arguments do not survive pickling by themselves, and a child process hands errors up."""
        return (_rebuilt, (type(self), self.what, self.where, self.to_do))


def _rebuilt(kind: type[ChurnError], what: str, where: str, to_do: str) -> ChurnError:
    return kind(what, where=where, to_do=to_do)


class SettingsError(ChurnError):
    """A variable of the environment is missing or wrong."""

    exit_code = 3


class ContractError(ChurnError):
    """A contract breaks the standard or one of its own rules."""

    exit_code = 4


class SourceError(ChurnError):
    """The input is not as the contract says."""

    exit_code = 5


class SourceUnreachable(SourceError):
    """The source is not there, or does not answer."""


class SourceMissing(SourceUnreachable):
    """There is no such file, or none of a kind that can be read: asking again will not help."""


class SourceMismatch(SourceError):
    """Columns or types differ from the contract."""


class SourceEmpty(SourceError):
    """A table has no rows."""


class SourceStale(SourceError):
    """The table of an earlier night came again."""


class QualityError(ChurnError):
    """A critical check failed, nothing is published."""

    exit_code = 6


class TrainingError(ChurnError):
    """A model cannot be trained honestly on this data."""

    exit_code = 7


class RegistryError(ChurnError):
    """The registry cannot do what was asked."""

    exit_code = 8


class NoChampion(RegistryError):
    """Nobody holds the place that was asked for."""


class ArtifactRefused(RegistryError):
    """A model's files differ from what was registered."""


class NotSigned(ArtifactRefused):
    """Nobody whom the environment trusts has signed a model."""


class PromotionRefused(RegistryError):
    """The gate refused it, or the champion is not the one that was expected."""


class PublicationError(ChurnError):
    """A night could not be published; readers keep the last one."""

    exit_code = 9


class AlreadyRunning(PublicationError):
    """Another run holds this night."""


class Fenced(PublicationError):
    """A younger run has taken this night over."""


class AuditFailed(PublicationError):
    """The copies differ from the manifest."""


class PolicyError(ChurnError):
    """A decision policy breaks its schema or contradicts itself."""

    exit_code = 10


class StoreUnreachable(ChurnError):
    """The database of the tables and the registry does not answer."""

    exit_code = 11


class RequestError(ChurnError):
    """A parameter of a command or a flow is not possible."""

    exit_code = 2


class OrchestratorUnreachable(ChurnError):
    """Prefect's server does not answer."""

    exit_code = 12


class ServiceUnreachable(ChurnError):
    """The API does not answer, or does not let the night in."""

    exit_code = 13


class Stopped(ChurnError):
    """A person stopped the command."""

    exit_code = 130  # as a shell gives it for Ctrl-C
