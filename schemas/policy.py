"""A decision policy: whom to contact, what it costs, and who is never contacted."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
Money = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Suppression(BaseModel):
    """Customers whose `column` equals `equals` get `status` and are not contacted, `because`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Name
    column: str
    equals: bool | int | str
    because: str


class Policy(BaseModel):
    """A versioned policy file.

    Money is in the currency of the customer's value. `keep_probability` is the chance that the offer keeps a
    customer who would have left; `capacity` is the number of contacts a night.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    description: str
    capacity: Annotated[int, Field(ge=0, le=10_000_000)]
    keep_probability: Annotated[float, Field(gt=0, le=1)]
    offer_cost: Money
    contact_cost: Money
    minimum_expected_value: Money = 0.0
    suppress: tuple[Suppression, ...] = ()
