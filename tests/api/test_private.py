"""A service for one caller says where it is, lets him alone in, takes nobody's jobs, and ends when he does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from api.private import CALLER
from churn.errors import RequestError
from store.registry import Version
from store.settings import Settings
from store.users import open_users
from tests.api.service import TINY, running

ROOT = Path(__file__).parent.parent.parent


def begun(settings: Settings, tmp_path: Path, **environment: str) -> subprocess.Popen[str]:
    home = {"CHURN_HOME": str(settings.data.parent), "CHURN_MODE": "development", **environment}
    asked = ("--contract", TINY.name, "--keys", str(tmp_path / "keys"))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        [sys.executable, "-m", "api.private", *asked], cwd=ROOT, env={**os.environ, **home}, **pipes
    )


def test_it_serves_its_caller_until_he_lets_go(settings: Settings, champion: Version, tmp_path: Path):
    with begun(settings, tmp_path) as process:
        told = json.loads(process.stdout.readline())
        body = {"customers": [{"customer_id": "C1"}]}
        path = f"{told['url']}/api/v1/predictions/batch"
        answer = httpx.post(path, json=body, headers={"authorization": f"Bearer {told['token']}"})
        assert answer.json()["predictions"][0]["model"]["digest"] == champion.digest
        assert httpx.post(path, json=body).status_code == 401
        process.stdin.close()
        assert process.wait(timeout=20) == 0
        assert process.stdout.read() == "", "its log is elsewhere"
    assert (tmp_path / "keys").stat().st_mode & 0o077 == 0


def test_where_it_cannot_start_it_says_why(settings: Settings, tmp_path: Path):
    with begun(settings, tmp_path, CHURN_CALLBACK_HOSTS="crm.example.com") as process:
        assert process.wait(timeout=20) != 0
        assert "CHURN_CALLBACK_KEY" in process.stderr.read()


def test_it_needs_no_key_of_the_service_that_stands(settings: Settings, champion: Version, tmp_path: Path):
    with begun(settings, tmp_path, CHURN_MODE="production") as process:
        assert json.loads(process.stdout.readline())["url"].startswith("http://127.0.0.1:")
        process.stdin.close()


def test_no_user_can_be_called_as_its_caller_is(settings: Settings):
    with pytest.raises(RequestError):
        open_users(settings).add(CALLER, "correct horse battery", "tests")


def test_it_takes_no_jobs(settings: Settings, champion: Version):
    for takes in (True, False):
        app = create_app(settings, TINY.name)
        app.state.takes_jobs = takes
        with running(app):
            assert ("jobs" in {thread.name for thread in threading.enumerate()}) == takes
