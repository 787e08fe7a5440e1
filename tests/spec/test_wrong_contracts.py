"""What is refused in a contract: one change to a sound one, the line that is named, and the rule."""

from __future__ import annotations

import pytest

from churn.contract import parse_contract
from churn.errors import ContractError
from schemas.contract import Contract
from schemas.odcs import read_contract_text

SOUND = """\
apiVersion: v3.2.0
kind: DataContract
id: corner-shop
name: corner_shop
version: 1.0.0
customProperties:
  - {property: horizonDays, value: 30}
  - {property: training, value: {samplingRate: 0.5, leaks: [refund]}}
schema:
  - name: customers
    customProperties:
      - {property: kind, value: flat}
    properties:
      - name: customer_id
        logicalType: string
        description: Key of the customer.
        customProperties: [{property: role, value: key}]
      - name: visits
        logicalType: integer
        description: Visits in a month.
        logicalTypeOptions: {minimum: 0, maximum: 31}
        customProperties: [{property: role, value: feature}, {property: monotone, value: -1}]
      - name: pays_by
        logicalType: string
        description: How the customer pays.
        enum: [{value: "cash"}, {value: "No"}]
        customProperties: [{property: role, value: "segment, feature"}]
      - name: spent
        logicalType: number
        description: Money spent in a month.
        customProperties: [{property: role, value: value}]
      - name: refund
        logicalType: number
        description: Refund on leaving.
      - name: left_us
        logicalType: integer
        description: Whether the customer left.
        logicalTypeOptions: {minimum: 0, maximum: 1}
        customProperties: [{property: role, value: label}]
"""

WRONG = [
    # what stands there                  what stands there instead                  line  rule               said
    ("kind: DataContract", "kind: [DataContract", 3, "yaml", "expected"),
    ("id: corner-shop", "kind: DataContract", 3, "yaml", "'kind' occurs twice"),
    ("id: corner-shop", "id: *shop", 3, "yaml", "alias"),
    ("kind: DataContract", "kind: DataShop", 2, "standard", "'DataShop'"),
    ("apiVersion: v3.2.0", "apiVersion: v2.2.0", 1, "standard", "not of version 3"),
    ("version: 1.0.0", "verzion: 1.0.0", 5, "standard", "'verzion' is not known here"),
    ("        logicalType: integer", "        required: maybe", 19, "standard", "boolean"),
    ("        logicalType: integer", "        requird: true", 19, "standard", "'requird'"),
    ("      - name: visits", "      - title: visits", 18, "standard", "name is missing"),
    ("horizonDays, value: 30", "horizonDays, value: 0", 7, "custom property", "greater than or equal to 1"),
    ("horizonDays, value: 30", "horizon, value: 30", 7, "custom property", "'horizon' is not known here"),
    ("samplingRate: 0.5", "samplingRate: 0", 8, "custom property", "greater than 0"),
    ("samplingRate: 0.5", "samplingRate: 1.5", 8, "custom property", "less than or equal to 1"),
    ("samplingRate: 0.5", "embargoDays: -1", 8, "custom property", "greater than or equal to 0"),
    ("value: flat", "value: heap", 12, "custom property", "'heap'"),
    ("value: feature}", "value: ornament}", 22, "custom property", "'ornament'"),
    ("monotone, value: -1", "monotone, value: -2", 22, "custom property", "-2"),
    ("{property: monotone, value: -1}", "{property: role, value: value}", 22, "custom property", "given twice"),
    ("value: flat", "value: source", 9, "kind", "exactly one table"),
    ("        logicalType: integer", "        logicalType: int", 19, "logical type", "'int' is none of integer"),
    ("minimum: 0, maximum: 31", "minimum: 32, maximum: 31", 18, "range", "minimum 32 above maximum 31"),
    ("minimum: 0, maximum: 31", "minimum: low", 21, "range", "'low'"),
    ("minimum: 0, maximum: 31", "multipleOf: 2", 21, "range", "'multipleOf' is not known here"),
    ('{value: "No"}', "{value: No}", 26, "allowed values", "put it in quotes"),
    ('{value: "No"}', '{value: "cash"}', 23, "allowed values", "allows 'cash' twice"),
    ("name: corner_shop", "name: ../../../evil", 4, "name", "'../../../evil' is not snake_case"),
    ("name: corner_shop", "name: Corner Shop", 4, "name", "'Corner Shop' is not snake_case"),
    ("name: corner_shop", f"name: {'a' * 64}", 4, "name", "at most 63 letters"),
    ("  - name: customers", "  - name: ../../evil", 10, "name", "table '../../evil' is not snake_case"),
    ("  - name: customers", "  - name: /customers", 10, "name", "table '/customers' is not snake_case"),
    ("      - name: visits", "      - name: Visits", 18, "name", "snake_case"),
    ("      - name: visits", "      - name: as_of", 18, "name", "the pipeline needs itself"),
    ("      - name: visits", "      - name: spent", 28, "one name", "two columns are called spent"),
    ("        description: Visits in a month.", "", 18, "description", "has no description"),
    ("value: key}", "value: protected}", 10, "one key", "here none"),
    ("value: value}", "value: key}", 10, "one key", "here customer_id, spent"),
    ("value: value}", "value: segment}", 28, "one column", "second segment"),
    ("value: value}", "value: [feature, key]}", 28, "roles", "can be nothing else"),
    ("value: value}", "value: value}, {property: monotone, value: 1}", 28, "monotone", "only a feature"),
    ("value: label}", "value: label}, {property: positive, value: gone}", 35, "yes and no", "needs both"),
    ("minimum: 0, maximum: 1}", "minimum: 0, maximum: 2}", 35, "label", "minimum 0 and maximum 1"),
    ('"segment, feature"', "[value, feature]", 23, "value", "must be a number"),
    ("        logicalType: integer", "        logicalType: date", 18, "feature", "time since or until"),
    ("leaks: [refund]", "leaks: [visits]", 18, "leak", "yet a feature"),
    ('"segment, feature"', '"segment"}, {property: whenInvalid, value: ignore', 27, "custom property", "'ignore'"),
]


def test_the_contract_before_the_change_is_sound():
    assert isinstance(read_contract_text(SOUND), Contract)


@pytest.mark.parametrize(("here", "instead", "line", "rule", "said"), WRONG)
def test_a_wrong_contract_is_refused_by_line_and_rule(here, instead, line, rule, said):
    assert here in SOUND
    found = read_contract_text(SOUND.replace(here, instead, 1))
    assert not isinstance(found, Contract), "nothing was refused"
    assert [p for p in found if (p.line, p.rule) == (line, rule) and said in p.message], "\n".join(map(str, found))


def test_every_problem_is_told_at_once_in_the_order_of_the_lines():
    text = SOUND.replace("logicalType: integer", "logicalType: int").replace(
        "horizonDays, value: 30", "horizonDays, value: 0"
    )
    with pytest.raises(ContractError) as refused:
        parse_contract(text, where="corner_shop.yaml")
    told = str(refused.value).splitlines()
    assert told[0] == "corner_shop.yaml: 3 problems"
    assert [line.split(":")[0].strip() for line in told[1:4]] == ["line 7", "line 19", "line 36"]


def test_a_source_of_several_tables_says_what_identifies_a_row_and_when_it_arrived():
    text = SOUND.replace("value: flat", "value: customer") + (
        "  - name: visits_daily\n"
        "    customProperties: [{property: kind, value: source}]\n"
        "    properties:\n"
        "      - {name: customer_id, logicalType: string, description: Key.}\n"
    )
    problems = read_contract_text(text)
    assert [(p.line, p.rule) for p in problems] == [(40, "primary key"), (40, "recorded at")]
