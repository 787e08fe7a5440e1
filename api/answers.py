"""The parts that answers share: a reason, and the model that gave it."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Reason(BaseModel):
    """One term of the log-odds."""

    feature: str = Field(description="The feature, or both of a pair", examples=["tenure_months"])
    value: str = Field(description="What the customer has there, in words", examples=["tenure 11 to 13 months"])
    log_odds: float = Field(description="How much it adds, in log-odds against the average customer", examples=[0.8])


class RecommendedAction(BaseModel):
    """What pays most for the customer by what the policy assumes, unless it says to leave him alone."""

    action: str = Field(description="The action of the policy that is worth most", examples=["service_call"])
    channel: str = Field(description="How it reaches the customer", examples=["phone"])
    expected_value: float | None = Field(
        description="Expected gain of the contact, in money; null for agents", examples=[12.5]
    )
    agent_says: str = Field(description="What the agent reads")
    rule: str = Field(description="By what it is recommended, and what a night goes by beside that")


class ModelStamp(BaseModel):
    """The model behind a score."""

    version: int = Field(description="Number of the model in the registry", examples=[1])
    digest: str = Field(description="sha256 that names the model's artifact")
