"""Writes the interface down as it is now: `python -m tests.api.renew_openapi`."""

from __future__ import annotations

import tempfile

from api.app import create_app
from store.settings import read_settings
from tests.api.test_openapi import DOCUMENT, written

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        app = create_app(read_settings({"CHURN_HOME": home, "CHURN_MODE": "development"}))
        DOCUMENT.write_text(written(app.openapi()))
