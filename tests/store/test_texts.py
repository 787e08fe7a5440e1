"""The texts that decided are kept under their digests, once, and another text is not taken for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from churn.errors import AuditFailed
from store.policies import POLICIES, kept_policy, read_policy
from store.settings import Settings
from store.texts import keep_text, kept_text


def test_a_text_is_read_back_by_its_digest(settings: Settings) -> None:
    digest = keep_text("name: übermut\n", settings)
    assert keep_text("name: übermut\n", settings) == digest
    assert kept_text(digest, settings) == "name: übermut\n"
    assert kept_text("0" * 64, settings) is None


def test_a_text_that_was_changed_is_refused(settings: Settings) -> None:
    digest = keep_text("capacity: 100\n", settings)
    (file,) = (settings.artifacts / "texts").iterdir()
    file.write_text("capacity: 900\n")
    with pytest.raises(AuditFailed, match="not the text that was kept"):
        kept_text(digest, settings)


def test_a_policy_that_decided_is_there_after_its_file_has_changed(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text((POLICIES / "telco.yaml").read_text().replace("capacity: 100", "capacity: 7"))
    then = read_policy(str(file))
    keep_text(then.text, settings)
    file.write_text("no policy any more")
    assert kept_policy(then.digest, settings) == then


def test_a_shipped_policy_needs_no_copy(settings: Settings) -> None:
    shipped = read_policy("telco")
    assert kept_policy(shipped.digest, settings) == shipped
    assert kept_policy("0" * 64, settings) is None
