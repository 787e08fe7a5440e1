"""Writes down what operators are to know."""

from __future__ import annotations

from prefect import flow

from tasks import notice as steps
from tasks.parameters import Body, Subject


@flow(name="notice", flow_run_name="{subject}")
def notice(subject: Subject, body: Body = "") -> None:
    """Keeps a notice in the book, whoever else may have heard of it."""
    steps.note_down(subject, body)
