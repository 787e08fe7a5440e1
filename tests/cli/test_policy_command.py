from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from churn.errors import PolicyError, RequestError
from cli.policy import app, gain_in_words
from store.policies import POLICIES

TELCO = (POLICIES / "telco.yaml").read_text()


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_sound_policy_is_said_to_be_sound() -> None:
    said = run("check", "telco")
    assert "telco is sound and fits telco: telco 4.0.0, 3 actions, 200 contacts a day (north 100, south 100)" in said
    assert "default is sound and fits ibm_telco" in run("check", "default", "--contract", "ibm_telco")


def test_a_share_that_challengers_decide_about_is_told(tmp_path: Path) -> None:
    file = tmp_path / "challenged.yaml"
    file.write_text(TELCO + "challenger_traffic: {share: 0.1, valid_days: 90}\n")
    assert "2% held out, 10% a challenger's, digest" in run("check", str(file))


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("holdout:\n", "challenger_traffic: {valid_days: 9}\nholdout:\n", "challenger_traffic: its other fields mean"),
        (
            "holdout:\n",
            "challenger_traffic: {share: 0.1, experiment: holdout}\nholdout:\n",
            "challenger_traffic.experiment: by the holdout's lot",
        ),
        (
            "holdout:\n",
            "challenger_traffic: {share: 0.6}\nholdout:\n",
            "challenger_traffic.share: Input should be less",
        ),
        ("share: 0.02", "share: ten", "holdout.share: Input should be a valid number"),
        ("channel: message", "channel: pigeon", "actions: discount needs the channel pigeon, which is not there"),
        (
            "column: handset_age_days",
            "column: gender",
            "causes: old_handset looks at gender, which the contract protects",
        ),
        ("above: 300", "above: 30000", "no handset_age_days that the contract allows lies within the limits"),
        ("above: 300", "equals: old", "causes: old_handset compares handset_age_days (integer) with 'old'"),
        ("column: marketing_consent", "column: mood", "rule no_consent looks at mood"),
        ("team_by: region", "team_by: shoe_size", "teams: north looks at shoe_size"),
    ],
)
def test_a_wrong_policy_ends_with_the_field_and_what_to_do(right: str, wrong: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    assert right in TELCO
    file.write_text(TELCO.replace(right, wrong))
    with pytest.raises(PolicyError) as refused:
        run("check", str(file))
    assert said in refused.value.what
    assert refused.value.to_do


def test_a_dry_run_asks_for_a_date() -> None:
    with pytest.raises(RequestError, match="is no date"):
        run("dry-run", "telco", "--as-of", "yesterday")


@pytest.mark.parametrize(
    ("gained", "said"),
    [(-1e-12, "as much as"), (0.0, "as much as"), (1234.5, "1,234.50 more than"), (-0.01, "0.01 less than")],
)
def test_what_a_policy_earns_against_the_one_in_force_is_told_without_a_sign(gained: float, said: str) -> None:
    assert gain_in_words(gained) == f"By its own beliefs this policy earns {said} the one in force."
