"""Where and when the service runs: the settings that it was made with, and what day it is for the business."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import Depends, Request

from store.settings import Settings


async def environment(request: Request) -> Settings:
    """The settings that the service was made with."""
    settings: Settings = request.app.state.settings
    return settings


Environment = Annotated[Settings, Depends(environment)]


async def today(settings: Environment) -> date:
    """Today's date in the business zone."""
    return datetime.now(settings.zone).date()


Today = Annotated[date, Depends(today)]
