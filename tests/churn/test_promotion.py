"""What is said of a candidate may be copied into a shell as it stands."""

from __future__ import annotations

import shlex

from churn.promotion import approval_command


def test_the_command_that_approves_a_candidate_reads_as_it_is_written():
    told = approval_command("telco", 2, "prepaid", None)
    assert told == ("churn model promote 2 --contract telco --segment prepaid --expected 0 --why 'it passed the gate'")


def test_no_name_of_a_segment_or_contract_is_taken_for_a_command():
    told = approval_command("my $(base)", 2, "small business; touch x", 1)
    words = shlex.split(told)
    assert words[words.index("--segment") + 1] == "small business; touch x"
    assert words[words.index("--contract") + 1] == "my $(base)"
    assert "'small business; touch x'" in told
