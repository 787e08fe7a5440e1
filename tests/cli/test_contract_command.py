from __future__ import annotations

import sqlite3

import pytest
from typer.testing import CliRunner

from churn.errors import ContractError, RequestError, SourceMismatch
from cli.contract import app
from store.contracts import read_contract


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_sound_contract_is_said_to_be_sound():
    assert (
        run("check", "ibm_telco") == "ibm_telco is sound: one flat table, 21 columns a customer, 18 of them features.\n"
    )


def test_a_wrong_contract_ends_with_its_line_and_rule(tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(read_contract("ibm_telco").text.replace("value: key}", "value: lock}"))
    with pytest.raises(ContractError, match=r"line \d+: custom property: role.0"):
        run("check", str(wrong))


def test_a_contract_that_does_not_say_what_a_customer_is_worth_is_warned_of(tmp_path):
    worthless = tmp_path / "worthless.yaml"
    worthless.write_text(read_contract("ibm_telco").text.replace("[value, feature]", "feature"))
    said = run("check", str(worthless))
    assert "is sound" in said
    assert "so no list will name anybody: give a column the role value." in said


def test_a_contract_is_shown_with_the_tables_that_it_is_built_from():
    shown = run("show", "telco")
    assert "6 source tables" in shown
    assert "built from usage_monthly: customer_id, month, minutes" in shown


def test_the_dictionary_goes_to_a_file(tmp_path):
    page = tmp_path / "docs" / "iranian.md"
    assert run("dictionary", "iranian", "--to", str(page)) == f"Written to {page}\n"
    assert "| call_failures | `Call  Failure` |" in page.read_text()
    assert page.read_text() == run("dictionary", "iranian")


def test_a_page_that_cannot_be_written_is_a_wrong_parameter(tmp_path):
    with pytest.raises(RequestError, match="it cannot be written: Is a directory"):
        run("dictionary", "iranian", "--to", str(tmp_path))


def test_a_draft_that_somebody_has_gone_on_with_is_not_replaced(tmp_path):
    completed = tmp_path / "shop.yaml"
    completed.write_text("completed by hand")
    with pytest.raises(RequestError, match=r"shop\.yaml: it is there already"):
        run("infer", str(tmp_path / "shop.csv"), "--label", "gone", "--to", str(completed))
    assert completed.read_text() == "completed by hand"


def test_a_draft_from_a_database_is_a_sound_contract_and_names_its_suspects(tmp_path):
    database, draft = tmp_path / "shop.db", tmp_path / "shop.yaml"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE shoppers (id TEXT, visits INTEGER, refund REAL, gone TEXT)")
        rows = [
            (f"C{row}", row % 7, 5.0 if row % 3 == 0 else 0.0, "yes" if row % 3 == 0 else "no") for row in range(60)
        ]
        connection.executemany("INSERT INTO shoppers VALUES (?, ?, ?, ?)", rows)
    connection.close()
    told = run(
        "infer", f"sqlite:///{database}", "--table", "shoppers", "--key", "id", "--label", "gone", "--to", str(draft)
    )
    assert "suspect: refund alone gives AUC 1.000" in told
    assert "so no list will name anybody: see --value." in told
    contract = read_contract(str(draft))
    assert [column.name for column in contract.features] == ["visits"]
    assert contract.training.leaks == ("refund",)


def test_a_label_that_is_none_is_told_with_the_file_and_the_row(tmp_path):
    file = tmp_path / "shop.csv"
    file.write_text("shopper,visits,left\nS1,1,yes\nS2,2,maybe\nS3,3,no\n")
    told = rf"^{file}, column left: 1 of 3 values are not yes or no, such as 'maybe' \(row 2 of the data\)"
    with pytest.raises(SourceMismatch, match=told):
        run("infer", str(file), "--label", "left")
