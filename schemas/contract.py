"""A contract: which columns a customer row has, where they come from, and what is known of the training set."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.columns import Column, Role, Table


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """What is known of the training set: a resampled one needs a prior correction, a leak must stay out.

    `embargo_days` are to lie between the last fact that a label needs and the date that is predicted with it: as many
    as the source takes to tell who has left.
    """

    checksum: str = ""
    rows: int | None = None
    base_rate: float | None = None
    sampling_rate: float = 1.0
    duplicates: int | None = None
    leaks: tuple[str, ...] = ()
    embargo_days: int = 0


@dataclass(frozen=True, slots=True)
class Contract:
    """Everything that derives from one YAML file.

    `sources` are the tables at the source; `customer` is the row of the snapshot. In a flat contract the one
    source table and the customer row are the same table. `surrogate_key` says that the key column is not at
    the source but is made from the row's content, so that exact duplicates share it. `value_months` turns the
    value column (money a month) into the customer's value over that many months. `digest` is the sha256 of `text`,
    the YAML itself, which a model carries inside its artifact.
    """

    name: str
    version: str
    digest: str
    description: str
    sources: tuple[Table, ...]
    customer: Table
    flat: bool
    surrogate_key: bool = False
    horizon_days: int = 30
    value_months: float = 12.0
    training: TrainingFacts = field(default_factory=TrainingFacts)
    text: str = field(default="", repr=False)

    @property
    def tables(self) -> tuple[Table, ...]:
        """Every table once: the sources, and the customer row where it is a table of its own."""
        return self.sources if self.flat else (*self.sources, self.customer)

    @property
    def key(self) -> str:
        """The name of the key column."""
        return self.customer.with_role(Role.KEY)[0].name

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns a model may learn from, in order."""
        return self.customer.with_role(Role.FEATURE)

    def one(self, role: Role) -> Column | None:
        """The first column of that role, or None."""
        columns = self.customer.with_role(role)
        return columns[0] if columns else None

    def source(self, name: str) -> Table:
        """The source table of that name; KeyError if there is none."""
        for table in self.sources:
            if table.name == name:
                return table
        raise KeyError(name)
