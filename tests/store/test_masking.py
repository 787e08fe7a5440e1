"""Passwords are told to nobody, and what is no password stays readable."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import make_url

from store.masking import without_password

TOLD = [
    ("p", "connection to server at db, port 1 failed", "connection to server at db, port 1 failed"),
    ("p", "cannot read postgresql://u:p@db/prod", "cannot read postgresql://u:***@db/prod"),
    ("p", 'invalid option password="p"', 'invalid option password="***"'),
    ("db1", "no host db1x; password=db1", "no host db1x; password=***"),
    ("s3cret-of-night", "as 'xs3cret-of-night9' was refused", "as 'x***9' was refused"),
    ("", "nothing is secret", "nothing is secret"),
]


@pytest.mark.parametrize(("password", "said", "told"), TOLD)
def test_a_short_password_is_masked_as_a_word_and_a_long_one_wherever_it_stands(
    password: str, said: str, told: str
) -> None:
    assert without_password(said, make_url(f"postgresql://u:{password}@db/prod")) == told


def test_a_password_in_the_query_is_masked_as_well() -> None:
    assert without_password("password=p refused", make_url("postgresql://db/prod?password=p")) == "password=*** refused"
