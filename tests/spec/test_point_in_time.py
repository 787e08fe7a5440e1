"""What is known of a customer when 2026-01-01 begins: small tables that the call centre could check."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest

from churn.snapshot import TrainingWindow
from store.snapshots import training_rows
from tests.small_telecom import customers_as_of, in_words, rows_of, telco, write_extract

TONIGHT = "2026-01-01"
TEN_DAYS_LATER = "2026-01-11"


def expect(table: str, extract: Path, known_at: str | None = None) -> None:
    """The snapshot says what the table says, in the columns that the table has, of the customers that it names."""
    found = customers_as_of(extract, TONIGHT, known_at)
    for row in rows_of(table):
        customer = found[str(row["customer_id"])]
        assert {column: in_words(customer[column]) for column in row} == {
            column: word or "?" for column, word in row.items()
        }


def test_a_customer_is_in_the_base_from_the_day_after_joining_until_the_news_of_leaving_arrives(tmp_path: Path) -> None:
    extract = write_extract(
        tmp_path,
        customers="""
        customer_id     joined_on   recorded_at
        stays           2024-05-01  2024-05-01
        joined_last     2025-12-31  2025-12-31
        joins_today     2026-01-01  2025-12-20
        not_heard_of    2025-12-30  2026-01-01T09:00
        left            2024-05-01  2024-05-01
        leaves_today    2024-05-01  2024-05-01
        news_is_late    2024-05-01  2024-05-01
        news_was_wrong  2024-05-01  2024-05-01
        """,
        churn_events="""
        customer_id     churned_on  recorded_at
        left            2025-12-31  2025-12-31T23:00
        leaves_today    2026-01-01  2025-12-20T09:00
        news_is_late    2025-12-30  2026-01-02T09:00
        news_was_wrong  2025-12-30  2025-12-30T23:00
        news_was_wrong  2026-02-01  2025-12-31T12:00
        """,
    )

    assert sorted(customers_as_of(extract, TONIGHT)) == [
        "joined_last",
        "leaves_today",
        "news_is_late",
        "news_was_wrong",
        "stays",
    ]
    assert sorted(customers_as_of(extract, TONIGHT, TEN_DAYS_LATER)) == [
        "joined_last",
        "leaves_today",
        "news_was_wrong",
        "not_heard_of",
        "stays",
    ]


def test_of_several_versions_of_a_month_the_newest_that_had_arrived_counts(tmp_path: Path) -> None:
    extract = write_extract(
        tmp_path,
        customers="""
        customer_id
        on_time
        late
        corrected
        corrected_later
        came_twice
        running_month
        """,
        usage_monthly="""
        customer_id      month       minutes  recorded_at
        on_time          2025-12-01      100  2025-12-31T23:00
        late             2025-12-01      100  2026-01-02T23:00
        corrected        2025-12-01      100  2025-12-31T22:00
        corrected        2025-12-01       80  2025-12-31T23:00
        corrected_later  2025-12-01      100  2025-12-31T23:00
        corrected_later  2025-12-01       80  2026-01-05T23:00
        came_twice       2025-12-01      100  2025-12-31T23:00
        came_twice       2025-12-01      100  2025-12-31T23:00
        running_month    2026-01-01      100  2025-12-31T23:00
        """,
    )
    expect(
        """
        customer_id      minutes_last_month  usage_missing_last_month  usage_repeated_last_month
        on_time                         100                         0                          0
        late                              ?                         1                          0
        corrected                        80                         0                          0
        corrected_later                 100                         0                          0
        came_twice                      100                         0                          1
        running_month                     ?                         1                          0
        """,
        extract,
    )
    expect(
        """
        customer_id      minutes_last_month  usage_missing_last_month  usage_repeated_last_month
        on_time                         100                         0                          0
        late                            100                         0                          0
        corrected                        80                         0                          0
        corrected_later                  80                         0                          0
        running_month                     ?                         1                          0
        """,
        extract,
        known_at=TEN_DAYS_LATER,
    )


def test_usage_is_told_by_level_and_by_trend(tmp_path: Path) -> None:
    extract = write_extract(
        tmp_path,
        customers="""
        customer_id  joined_on
        falls        2024-01-01
        is_new       2025-12-15
        was_silent   2024-01-01
        """,
        usage_monthly="""
        customer_id  month       minutes  data_gb  calls  dropped_calls
        falls        2025-06-01     9999     9999   9999           9999
        falls        2025-07-01      400       10     50              0
        falls        2025-08-01      400       10     50              0
        falls        2025-09-01      400       10     50              0
        falls        2025-10-01      200       10     50              0
        falls        2025-11-01      300       10     50              5
        falls        2025-12-01      100       20     40              5
        is_new       2025-12-01       50        1      ?              ?
        was_silent   2025-09-01        0        0      0              0
        was_silent   2025-12-01       50        1     10              0
        """,
    )
    expect(
        """
        customer_id  minutes_last_month  minutes_mean_3m  minutes_mean_6m  minutes_trend_1m  minutes_trend_3m
        falls                       100              200              300            0.3333               0.5
        is_new                       50               50               50                 ?                 ?
        was_silent                   50               50               25                 ?                 ?
        """,
        extract,
    )
    expect(
        """
        customer_id  data_gb_trend_1m  dropped_share_last_month  dropped_share_3m  usage_months_known
        falls                       2                     0.125            0.0714                   6
        is_new                      ?                         ?                 ?                   1
        was_silent                  ?                         0                 0                   2
        """,
        extract,
    )


def test_the_contract_in_force_is_the_version_that_took_effect_last(tmp_path: Path) -> None:
    extract = write_extract(
        tmp_path,
        customers="""
        customer_id    joined_on
        price_rose     2024-01-01
        rises_today    2024-01-01
        rise_unheard   2024-01-01
        bound          2024-01-01
        free           2024-01-01
        last_day       2024-01-01
        handset_today  2025-11-30
        """,
        contracts="""
        contract_id  customer_id    monthly_price  effective_on  ends_on     handset_since  recorded_at
        k1           price_rose                20  2025-01-01    ?           2025-12-22     2025-01-01
        k1           price_rose                22  2025-08-01    ?           2025-12-22     2025-07-15
        k1           price_rose                25  2025-11-01    ?           2025-12-22     2025-10-15
        k2           rises_today               20  2025-01-01    ?           ?              2025-01-01
        k2           rises_today               25  2026-01-01    ?           ?              2025-12-15
        k3           rise_unheard              20  2025-01-01    ?           ?              2025-01-01
        k3           rise_unheard              25  2025-12-30    ?           ?              2026-01-02
        k4           bound                     20  2025-01-01    2026-12-31  ?              2025-01-01
        k5           free                      20  2024-01-01    2025-01-01  ?              2024-01-01
        k5           free                      20  2025-06-01    ?           ?              2025-06-01
        k6           last_day                  20  2025-01-01    2026-01-01  ?              2025-01-01
        k7           handset_today             20  2025-12-01    ?           2026-01-01     2025-12-01
        """,
    )
    expect(
        """
        customer_id    monthly_price  price_change_3m  price_change_6m  handset_age_days  tenure_months
        price_rose                25                3                5                10             24
        rises_today               20                0                0                 ?             24
        rise_unheard              20                0                0                 ?             24
        handset_today             20                0                0                 ?              1
        """,
        extract,
    )
    expect(
        """
        customer_id   in_contract  contract_days_left  days_out_of_contract
        price_rose             no                   0                     ?
        bound                 yes                 365                     0
        free                   no                   0                   365
        last_day              yes                   1                     0
        """,
        extract,
    )


def test_revenue_is_the_price_and_what_was_charged_beside_it(tmp_path: Path) -> None:
    extract = write_extract(
        tmp_path,
        customers="""
        customer_id
        spends
        silent
        """,
        contracts="""
        contract_id  customer_id  monthly_price  allowance_minutes  allowance_gb
        k1           spends                  20                200            10
        k2           silent                  20                200             0
        """,
        usage_monthly="""
        customer_id  month       overage_amount  roaming_amount  minutes  data_gb
        spends       2025-10-01               0               3      100        5
        spends       2025-11-01               6               0      100        5
        spends       2025-12-01              12               0      100        5
        """,
    )
    expect(
        """
        customer_id  monthly_revenue  overage_mean_3m  overage_share  minutes_allowance_used  data_allowance_used
        spends                    27                6            0.3                     0.5                  0.5
        silent                    20                ?              ?                       ?                    ?
        """,
        extract,
    )


def test_a_ticket_counts_once_it_was_opened_and_is_open_until_it_was_closed(tmp_path: Path) -> None:
    extract = write_extract(
        tmp_path,
        customers="""
        customer_id
        closed
        still_open
        closed_today
        closing_unheard
        opened_today
        opening_unheard
        complained
        quiet
        """,
        tickets="""
        ticket_id  customer_id      opened_on   closed_on   is_complaint  recorded_at
        t1         closed           2025-12-10  ?           false         2025-12-10T12:00
        t1         closed           2025-12-10  2025-12-14  false         2025-12-14T12:00
        t2         still_open       2025-12-10  ?           false         2025-12-10T12:00
        t3         closed_today     2025-12-10  2026-01-01  false         2025-12-31T12:00
        t4         closing_unheard  2025-12-10  ?           false         2025-12-10T12:00
        t4         closing_unheard  2025-12-10  2025-12-30  false         2026-01-02T12:00
        t5         opened_today     2026-01-01  ?           false         2025-12-31T12:00
        t6         opening_unheard  2025-12-31  ?           false         2026-01-01T12:00
        t7         complained       2025-12-10  ?           true          2025-12-10T12:00
        t8         complained       2025-11-01  2025-11-03  true          2025-11-03T12:00
        t9         complained       2025-08-01  2025-08-05  false         2025-08-05T12:00
        """,
    )
    expect(
        """
        customer_id      tickets_open  tickets_30d  tickets_90d  tickets_180d  days_since_ticket  ticket_days_to_close
        closed                      0            1            1             1                 22                     4
        still_open                  1            1            1             1                 22                     ?
        closed_today                1            1            1             1                 22                     ?
        closing_unheard             1            1            1             1                 22                     ?
        opened_today                0            0            0             0                  ?                     ?
        opening_unheard             0            0            0             0                  ?                     ?
        complained                  1            1            2             3                 22                     3
        quiet                       0            0            0             0                  ?                     ?
        """,
        extract,
    )
    expect(
        """
        customer_id  complaints_open  complaints_90d  complaints_180d
        complained                 1               2                2
        closed                     0               0                0
        """,
        extract,
    )


def test_a_payment_is_open_until_the_news_of_it_arrives(tmp_path: Path) -> None:
    extract = write_extract(
        tmp_path,
        customers="""
        customer_id
        pays_early
        pays_late
        owes
        news_is_late
        bounced
        due_today
        owed_long_ago
        """,
        payments="""
        payment_id  customer_id    due_on      paid_on     amount  method    recorded_at
        p1          pays_early     2025-12-05  ?               30  card      2025-11-20
        p1          pays_early     2025-12-05  2025-12-03      30  autopay   2025-12-03T23:00
        p2          pays_late      2025-11-05  2025-11-15      30  transfer  2025-11-15T23:00
        p3          pays_late      2025-12-05  2025-12-07      30  voucher   2025-12-07T23:00
        p4          owes           2025-12-05  ?               40  transfer  2025-11-20
        p5          news_is_late   2025-12-05  ?               30  transfer  2025-11-20
        p5          news_is_late   2025-12-05  2025-12-05      30  transfer  2026-01-02
        p6          bounced        2025-12-05  2025-12-05      30  card      2025-12-05
        p6          bounced        2025-12-05  ?               30  card      2025-12-09
        p7          due_today      2026-01-01  ?               30  card      2025-12-20
        p8          owed_long_ago  2025-06-05  ?               30  card      2025-06-05
        """,
    )
    expect(
        """
        customer_id    payments_late_6m  payment_delay_days  open_amount  payment_method
        pays_early                    0                  -2            0         autopay
        pays_late                     2                   6            0         voucher
        owes                          1                   ?           40        transfer
        news_is_late                  1                   ?           30        transfer
        bounced                       1                   ?           30            card
        due_today                     0                   ?            0               ?
        owed_long_ago                 0                   ?            0               ?
        """,
        extract,
    )


def test_a_household_and_a_region_are_counted_across_all_customers(tmp_path: Path) -> None:
    members = [f"member_{number}" for number in range(12)]  # enough of them that both buckets hold some
    extract = write_extract(
        tmp_path,
        customers="customer_id household_id region\nloner ? R02\nmoved h2 R02\n"
        + "\n".join(f"{member} h1 R01" for member in members),
        churn_events="""
        customer_id  churned_on  recorded_at
        member_0     2025-12-20  2025-12-20T23:00
        member_1     2025-03-01  2025-03-01T23:00
        member_2     2025-12-30  2026-01-02T23:00
        """,
        usage_monthly="customer_id month calls dropped_calls\nloner 2025-12-01 ? ?\n"
        + "\n".join(f"{member} 2025-11-01 100 1\n{member} 2025-12-01 50 2" for member in members),
    )
    expect(
        """
        customer_id  household_size  household_left_6m  region_dropped_share  region_dropped_share_change
        member_2                 10                  1                  0.04                         0.03
        member_11                10                  1                  0.04                         0.03
        moved                     1                  0                     ?                            ?
        loner                     1                  0                     ?                            ?
        """,
        extract,
    )


@pytest.mark.parametrize(
    ("known_at", "leavers"),
    [
        ("2025-12-02", ["leaves_first_day", "leaves_last_day"]),
        ("2026-01-01", ["leaves_first_day", "leaves_last_day", "news_is_late"]),
    ],
)
def test_who_leaves_within_thirty_days_is_a_lesson_however_little_was_known_before(
    tmp_path: Path, known_at: str, leavers: list[str]
) -> None:
    extract = write_extract(
        tmp_path,
        customers="""
        customer_id
        stays
        left_before
        leaves_first_day
        leaves_last_day
        leaves_day_after
        news_is_late
        """,
        churn_events="""
        customer_id       churned_on  recorded_at
        left_before       2025-11-01  2025-11-01T23:00
        leaves_first_day  2025-11-02  2025-11-02T23:00
        leaves_last_day   2025-12-01  2025-12-01T23:00
        leaves_day_after  2025-12-02  2025-12-01T23:00
        news_is_late      2025-11-30  2025-12-03T23:00
        """,
        usage_monthly="""
        customer_id  month       minutes  recorded_at
        stays        2025-10-01      100  2025-10-31T23:00
        stays        2025-10-01       80  2025-11-05T23:00
        """,
    )
    window = TrainingWindow((date(2025, 11, 2),), datetime.fromisoformat(known_at))
    lessons = training_rows(extract, telco(), window).to_pylist()

    assert sorted(row["customer_id"] for row in lessons if row["label"]) == leavers
    assert {row["customer_id"] for row in lessons} == {
        "stays",
        "leaves_first_day",
        "leaves_last_day",
        "leaves_day_after",
        "news_is_late",
    }
    assert [row["minutes_last_month"] for row in lessons if row["customer_id"] == "stays"] == [100]
    assert {row["as_of"] for row in lessons} == {date(2025, 11, 2)}


@pytest.mark.parametrize(
    ("known_at", "lessons"),
    [
        ("2025-12-02", {"stays": 0, "news_is_very_late": 0, "date_was_wrong": 1}),
        ("2026-01-01", {"stays": 0, "date_was_wrong": 1}),
    ],
)
def test_who_had_left_before_a_date_is_no_lesson_once_the_news_of_it_arrives(
    tmp_path: Path, known_at: str, lessons: dict[str, int]
) -> None:
    extract = write_extract(
        tmp_path,
        customers="""
        customer_id
        stays
        news_is_late
        news_is_very_late
        date_was_wrong
        """,
        churn_events="""
        customer_id        churned_on  recorded_at
        news_is_late       2025-11-01  2025-11-05T23:00
        news_is_very_late  2025-10-20  2025-12-20T23:00
        date_was_wrong     2025-11-01  2025-11-05T23:00
        date_was_wrong     2025-11-09  2025-11-20T23:00
        """,
    )
    window = TrainingWindow((date(2025, 11, 2),), datetime.fromisoformat(known_at))
    rows = training_rows(extract, telco(), window).to_pylist()

    assert {row["customer_id"]: row["label"] for row in rows} == lessons
    assert sorted(customers_as_of(extract, "2025-11-02")) == [
        "date_was_wrong",
        "news_is_late",
        "news_is_very_late",
        "stays",
    ]
