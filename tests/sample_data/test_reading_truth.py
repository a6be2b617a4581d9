"""The planted causes are found again by counting in the committed tables, within the ranges that truth.py states."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from limner_samples.reading import generator, truth

DATA = Path(generator.__file__).parent / "data"
CUTOFFS = ("2025-09-03", "2025-10-03", "2025-11-02", "2025-12-02")

FEATURES = f"""
CREATE TABLE facts AS
WITH cutoffs AS (SELECT unnest([{", ".join(f"TIMESTAMP '{c}'" for c in CUTOFFS)}]) AS c),
acts AS (
    SELECT c, user_id,
        count(*) FILTER (event = 'login' AND time < c AND time >= c - INTERVAL 30 DAY) AS login_30d,
        count(*) FILTER (event = 'login' AND time < c AND time >= c - INTERVAL 14 DAY) AS login_14d,
        count(*) FILTER (event = 'search' AND time < c AND time >= c - INTERVAL 30 DAY) AS search_30d,
        count(*) FILTER (event = 'comment' AND time < c AND time >= c - INTERVAL 30 DAY) AS comment_30d,
        count(*) FILTER (event = 'add_to_shelf' AND time < c AND time >= c - INTERVAL 60 DAY) AS shelf_60d,
        coalesce(sum(minutes) FILTER (time < c AND time >= c - INTERVAL 30 DAY), 0) AS minutes_30d,
        mode(genre ORDER BY genre) FILTER (event = 'read' AND time < c) AS genre,
        count(*) FILTER (event = 'login' AND time >= c AND time < c + INTERVAL 30 DAY) = 0 AS lapse,
        count(*) FILTER (event = 'share' AND time >= c AND time < c + INTERVAL 30 DAY) > 0 AS share
    FROM cutoffs, events GROUP BY ALL),
bought AS (
    SELECT c, user_id,
        count(*) FILTER (product = 'chapters' AND time < c AND time >= c - INTERVAL 30 DAY) AS chapters_30d,
        count(*) FILTER (product = 'membership' AND time < c AND time >= c - INTERVAL 90 DAY) AS membership_90d,
        count(*) FILTER (product = 'membership' AND time < c AND c < time
            + to_days(CASE amount WHEN 15 THEN 30 WHEN 45 THEN 90 ELSE 365 END)) AS memberships,
        count(*) FILTER (product = 'membership' AND time >= c AND time < c + INTERVAL 30 DAY) > 0 AS joins,
        count(*) FILTER (product = 'chapters' AND time >= c AND time < c + INTERVAL 30 DAY) > 0 AS pay
    FROM cutoffs, orders GROUP BY ALL)
SELECT acts.*, coalesce(chapters_30d, 0) AS chapters_30d, coalesce(membership_90d, 0) AS membership_90d,
    coalesce(memberships, 0) > 0 AS member, coalesce(joins, false) AS "join", coalesce(pay, false) AS pay,
    gender, channel, device, push_enabled
FROM acts LEFT JOIN bought USING (c, user_id) JOIN users USING (user_id)
WHERE login_30d > 0;
CREATE TABLE answers AS
SELECT campaigns.user_id, campaigns.event = 'sms_sent' AS treated,
    date_diff('day', max(events.time) FILTER (events.event = 'login' AND events.time < campaigns.time),
        campaigns.time) AS quiet_days,
    mode(genre ORDER BY genre) FILTER (events.event = 'read' AND events.time < campaigns.time) AS genre,
    count(*) FILTER (events.event = 'login' AND events.time >= campaigns.time
        AND events.time < campaigns.time + INTERVAL 14 DAY) > 0 AS respond
FROM campaigns JOIN events USING (user_id) GROUP BY campaigns.user_id, campaigns.time, campaigns.event;
"""

PERSUADABLE = f"quiet_days < {truth.QUIET_SHORT_DAYS} AND coalesce(genre = '{truth.GENRE_THAT_ANSWERS}', false)"
IN_VAIN = f"search_30d >= {truth.SEARCH_MANY} AND minutes_30d < {truth.READ_LITTLE_MINUTES}"

# For each planted effect: the table, who has the cause, and among whom it is looked for.
COUNTED = {
    ("lapse", "paid_ads"): ("facts", "channel = 'paid_ads'", "true"),
    ("lapse", "searches_but_reads_little"): ("facts", IN_VAIN, "true"),
    ("lapse", "fading"): ("facts", "login_14d * 3 < login_30d", "true"),
    ("lapse", "active_membership"): ("facts", "member", "true"),
    ("lapse", "filled_shelf"): ("facts", f"shelf_60d >= {truth.SHELF_MANY}", "true"),
    ("lapse", "gender"): ("facts", "gender = 'female'", "gender IS NOT NULL"),
    ("lapse", "push_enabled"): ("facts", "push_enabled", "channel <> 'paid_ads'"),
    ("join", "pays_by_chapter"): ("facts", f"chapters_30d >= {truth.CHAPTERS_MANY}", "NOT member"),
    ("join", "reads_long"): ("facts", f"minutes_30d >= {truth.READ_LONG_MINUTES}", "NOT member"),
    ("join", "former_member"): ("facts", "membership_90d > 0", "NOT member"),
    ("pay", "prefers_fantasy"): ("facts", f"genre = '{truth.GENRE_THAT_PAYS}'", "genre IS NOT NULL"),
    ("pay", "ios"): ("facts", "device = 'iOS'", "true"),
    ("share", "referral"): ("facts", "channel = 'referral'", "true"),
    ("share", "commenter"): ("facts", "comment_30d > 0", "true"),
    ("respond", "message_to_the_persuadable"): ("answers", "treated", PERSUADABLE),
    ("respond", "message_to_the_rest"): ("answers", "treated", f"NOT ({PERSUADABLE})"),
}


@pytest.fixture(scope="module")
def base() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for name in ("users", "orders", "campaigns"):
        connection.execute(f"CREATE TABLE {name} AS FROM '{DATA / name}.parquet'")
    connection.execute(
        f"CREATE TABLE events AS SELECT DISTINCT * FROM '{DATA}/events.parquet' "
        "WHERE user_id IS NOT NULL AND time IS NOT NULL"
    )
    connection.execute(FEATURES)
    return connection


def number(base: duckdb.DuckDBPyConnection, query: str) -> float:
    return float(base.execute(query).fetchall()[0][0])


def share(base: duckdb.DuckDBPyConnection, outcome: str, where: str, table: str = "facts") -> float:
    return number(base, f'SELECT avg(CAST("{outcome}" AS INTEGER)) FROM {table} WHERE {where}')


def odds_ratio(base: duckdb.DuckDBPyConnection, outcome: str, cause: str, among: str, table: str = "facts") -> float:
    with_it = share(base, outcome, f"({among}) AND ({cause})", table)
    without = share(base, outcome, f"({among}) AND NOT ({cause})", table)
    return with_it / (1 - with_it) / (without / (1 - without))


def test_every_planted_effect_is_counted() -> None:
    assert set(COUNTED) == {(planted.outcome, planted.name) for planted in truth.EFFECTS}


@pytest.mark.parametrize("planted", truth.EFFECTS, ids=lambda planted: f"{planted.outcome}-{planted.name}")
def test_planted_effect_is_visible(base: duckdb.DuckDBPyConnection, planted: truth.PlantedEffect) -> None:
    table, cause, among = COUNTED[planted.outcome, planted.name]
    low, high = planted.visible
    assert low < odds_ratio(base, planted.outcome, cause, among, table) < high


@pytest.mark.parametrize("cutoff", CUTOFFS)
def test_reference_scenarios_have_their_size_and_base_rates(base: duckdb.DuckDBPyConnection, cutoff: str) -> None:
    at = f"c = TIMESTAMP '{cutoff}'"
    assert number(base, f"SELECT count(*) FROM facts WHERE {at}") >= 3_500
    assert 0.12 <= share(base, "lapse", at) <= 0.20
    assert 0.03 <= share(base, "join", f"{at} AND NOT member") <= 0.08


def test_the_interaction_is_a_rule_worth_finding(base: duckdb.DuckDBPyConnection) -> None:
    assert share(base, "lapse", IN_VAIN) / share(base, "lapse", "true") >= 1.7
    assert number(base, f"SELECT avg(CAST({IN_VAIN} AS INTEGER)) FROM facts") >= 0.02
    # Searching a lot and reading a lot is no reason to leave.
    keen = f"search_30d >= {truth.SEARCH_MANY} AND minutes_30d >= {truth.READ_LITTLE_MINUTES}"
    assert share(base, "lapse", keen) < share(base, "lapse", "true")


def test_push_turns_around_within_channels(base: duckdb.DuckDBPyConnection) -> None:
    assert odds_ratio(base, "lapse", "push_enabled", "true") > 1.15
    assert odds_ratio(base, "lapse", "push_enabled", "channel = 'paid_ads'") < 0.9
    assert odds_ratio(base, "lapse", "push_enabled", "channel <> 'paid_ads'") < 0.9


def test_crm_status_leaks_the_outcome_of_the_last_cutoff(base: duckdb.DuckDBPyConnection) -> None:
    last = f"c = TIMESTAMP '{CUTOFFS[-1]}'"
    query = (
        "SELECT avg(CAST(coalesce(crm_status = 'win_back', false) AS INTEGER)) "
        f"FROM facts JOIN users USING (user_id) WHERE {last} AND"
    )
    assert number(base, f"{query} lapse") > 0.9
    assert number(base, f"{query} NOT lapse") < 0.05


def test_message_has_an_effect_on_the_treated_only(base: duckdb.DuckDBPyConnection) -> None:
    assert 0.06 < share(base, "respond", "treated", "answers") < 0.11
    assert 0.015 < share(base, "respond", "NOT treated", "answers") < 0.05
    held_out = number(base, "SELECT avg(CAST(NOT treated AS INTEGER)) FROM answers")
    assert held_out == pytest.approx(truth.HOLDOUT_SHARE, abs=0.03)
    assert number(base, "SELECT min(quiet_days) FROM answers") >= 28
    gain = {
        where: share(base, "respond", f"treated AND {where}", "answers")
        - share(base, "respond", f"NOT treated AND {where}", "answers")
        for where in (f"({PERSUADABLE})", f"NOT ({PERSUADABLE})")
    }
    assert gain[f"({PERSUADABLE})"] > 3 * gain[f"NOT ({PERSUADABLE})"]


def test_a_few_users_make_the_large_purchases(base: duckdb.DuckDBPyConnection) -> None:
    top = number(
        base,
        "SELECT sum(spent) FILTER (place <= 40) / sum(spent) FROM (SELECT sum(amount) AS spent, row_number() OVER "
        "(ORDER BY sum(amount) DESC) AS place FROM orders WHERE amount >= 200 GROUP BY user_id)",
    )
    assert top > 0.85


def test_odds_answers_only_for_factors_on_odds() -> None:
    assert truth.odds("lapse", "gender") == 1.0
    with pytest.raises(KeyError):
        truth.odds("lapse", "fading")
    with pytest.raises(KeyError):
        truth.effect("lapse", "shoe_size")
