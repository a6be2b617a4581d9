"""The forty tags of the workload as SQL that a person writes: first as it comes to mind, then as fast as we know how.

`starts` holds the UTC instants at which windows of so many days begin; 0 is as_of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

Starts = Mapping[int, datetime]

# What both do with the aggregates of a user.
_OF_TAGS = """
    CASE WHEN spend_90d < 1 THEN 'none' WHEN spend_90d < 100 THEN 'low' WHEN spend_90d < 500 THEN 'middle' ELSE 'high' END AS spend_band,
    percent_rank() OVER (ORDER BY spend) AS spend_percentile,
    CASE WHEN days_since_order IS NULL THEN NULL ELSE ['general_win_back', 'general_develop', 'general_keep', 'general_value',
        'important_win_back', 'important_develop', 'important_keep', 'important_value'][1
        + CAST(days_since_order <= avg(days_since_order) OVER w AS INT) + 2 * CAST(orders >= avg(orders) OVER w AS INT)
        + 4 * CAST(spend >= avg(spend) OVER w AS INT)] END AS rfm,
    CASE WHEN orders = 0 THEN 'potential' WHEN orders = 1 AND days_since_order <= 30 THEN 'new' WHEN days_since_order <= 60 THEN 'active'
        WHEN days_since_order <= 180 THEN 'at_risk' WHEN days_since_order > 180 THEN 'lapsed' END AS stage,
    minutes_90d / nullif(reads_90d, 0) AS minutes_per_read
"""


def naive_query(acts: Sequence[str], people: Sequence[str], starts: Starts, zone: str) -> str:
    """One GROUP BY over all events."""
    since = {days: f"time >= TIMESTAMP '{start}'" for days, start in starts.items()}
    day = f"CAST(time AT TIME ZONE 'UTC' AT TIME ZONE '{zone}' AS DATE)"
    today = f"CAST(TIMESTAMP '{starts[0]}' AT TIME ZONE 'UTC' AT TIME ZONE '{zone}' AS DATE)"
    doubled = _doubled(starts)

    def ago(event: str) -> str:
        return f"{today} - max({day}) FILTER (WHERE event = '{event}') AS days_since_{event}"

    counts = [("logins_7d", "login", 7), ("logins_30d", "login", 30), ("logins_90d", "login", 90), ("reads_30d", "read", 30),
              ("reads_90d", "read", 90), ("searches_30d", "search", 30), ("shares_90d", "share", 90)]  # fmt: skip
    counted = ", ".join(f"count(*) FILTER (WHERE event = '{e}' AND {since[d]}) AS {name}" for name, e, d in counts)
    minutes = ", ".join(
        f"coalesce(sum(minutes) FILTER (WHERE event = 'read' AND {since[d]}), 0) AS minutes_{d}d" for d in (7, 30, 90)
    )
    read_90d, order = f"event = 'read' AND {since[90]}", "event = 'order'"
    return f"""
        WITH acts AS (SELECT user_id, {counted}, count(*) FILTER (WHERE {order}) AS orders, {minutes},
            coalesce(sum(amount) FILTER (WHERE {order} AND {since[90]}), 0) AS spend_90d, coalesce(sum(amount) FILTER (WHERE {order}), 0) AS spend,
            avg(minutes) FILTER (WHERE {read_90d}) AS mean_minutes, max(amount) FILTER (WHERE {order}) AS max_amount,
            min(amount) FILTER (WHERE {order}) AS min_amount, count(DISTINCT genre) FILTER (WHERE {read_90d}) AS genres_90d,
            count(DISTINCT product) FILTER (WHERE {order}) AS products,
            count(DISTINCT {day}) FILTER (WHERE event = 'login' AND {since[30]}) AS active_days_30d,
            count(DISTINCT {day}) FILTER (WHERE event = 'login' AND {since[90]}) AS active_days_90d,
            {ago("login")}, {ago("read")}, {ago("order")},
            arg_min(product, time) FILTER (WHERE {order}) AS first_product, arg_max(device, time) FILTER (WHERE event = 'login') AS last_device,
            sum(amount) FILTER (WHERE {order} AND amount >= 200) AS large, count(*) FILTER (WHERE {read_90d} AND genre = '玄幻') AS fantasy,
            mode(genre) FILTER (WHERE {read_90d}) AS genre, histogram(genre) FILTER (WHERE {read_90d}) AS genre_counts,
            min({day}) FILTER (WHERE {order}) AS first_order, max({day}) FILTER (WHERE {order}) AS last_order,
            count(*) FILTER (WHERE event = 'read' AND {doubled[30]} AND NOT {since[30]}) AS reads_before,
            sum(amount) FILTER (WHERE {order} AND {doubled[90]} AND NOT {since[90]}) AS spend_before
            FROM {_files(acts)} WHERE time < TIMESTAMP '{starts[0]}' GROUP BY user_id),
        found AS (SELECT p.user_id, gender, city, acts.* EXCLUDE (user_id, {", ".join(_ZEROS)}, large, fantasy, genre_counts, first_order, last_order,
                reads_before, spend_before),
            {", ".join(f"coalesce({name}, 0) AS {name}" for name in _ZEROS)},
            coalesce(large, 0) / nullif(spend, 0) AS large_share, fantasy / nullif(reads_90d, 0) AS fantasy_share,
            list_max(map_values(genre_counts)) / list_sum(map_values(genre_counts)) AS genre_share,
            list_sort(map_entries(genre_counts), 'DESC')[2].key AS second_genre,
            (last_order - first_order) / nullif(orders - 1, 0) AS order_gap,
            coalesce(reads_30d, 0) - coalesce(reads_before, 0) AS reads_trend, spend_90d / nullif(spend_before, 0) AS spend_trend
            FROM {_files(people)} AS p LEFT JOIN acts USING (user_id))
        SELECT *, {_OF_TAGS} FROM found WINDOW w AS (PARTITION BY days_since_order IS NULL)"""


_ZEROS = ("logins_7d", "logins_30d", "logins_90d", "reads_30d", "reads_90d", "searches_30d", "shares_90d", "orders", "minutes_7d", "minutes_30d",
          "minutes_90d", "spend_90d", "spend", "genres_90d", "products", "active_days_30d", "active_days_90d")  # fmt: skip


def best_query(acts: Sequence[str], people: Sequence[str], starts: Starts, zone: str) -> str:
    """Each event's rows by themselves, values counted over pairs of user and value, days from the offset instead of the calendar."""
    since = {days: f"time >= TIMESTAMP '{start}'" for days, start in starts.items()}
    doubled = _doubled(starts)
    # China has had one offset since 1991.
    day, today = "CAST(time + INTERVAL 8 HOUR AS DATE)", f"CAST(TIMESTAMP '{starts[0]}' + INTERVAL 8 HOUR AS DATE)"
    rows = f"FROM {_files(acts)} WHERE time < TIMESTAMP '{starts[0]}' AND event ="

    def local(column: str) -> str:
        return f"CAST({column} + INTERVAL 8 HOUR AS DATE)"

    return f"""
        WITH logins AS (SELECT user_id, count(*) FILTER (WHERE {since[7]}) AS logins_7d, count(*) FILTER (WHERE {since[30]}) AS logins_30d,
            count(*) FILTER (WHERE {since[90]}) AS logins_90d, max(time) AS last_login, arg_max(device, {{'t': time, 'd': device}}) AS last_device
            {rows} 'login' GROUP BY user_id),
        days AS (SELECT user_id, count(*) AS active_days_90d, count(*) FILTER (WHERE last >= TIMESTAMP '{starts[30]}') AS active_days_30d
            FROM (SELECT user_id, {day} AS day, max(time) AS last {rows} 'login' AND {since[90]} GROUP BY 1, 2) GROUP BY user_id),
        reads AS (SELECT user_id, count(*) FILTER (WHERE {since[30]}) AS reads_30d, count(*) FILTER (WHERE {since[90]}) AS reads_90d,
            sum(minutes) FILTER (WHERE {since[7]}) AS minutes_7d, sum(minutes) FILTER (WHERE {since[30]}) AS minutes_30d,
            sum(minutes) FILTER (WHERE {since[90]}) AS minutes_90d, avg(minutes) FILTER (WHERE {since[90]}) AS mean_minutes,
            max(time) AS last_read, count(*) FILTER (WHERE {since[90]} AND genre = '玄幻') AS fantasy,
            count(*) FILTER (WHERE {doubled[30]} AND NOT {since[30]}) AS reads_before
            {rows} 'read' GROUP BY user_id),
        pairs AS (SELECT user_id, genre, count(*) AS n, max(time) AS last {rows} 'read' AND {since[90]} AND genre IS NOT NULL GROUP BY 1, 2),
        genres AS (SELECT user_id, count(*) AS genres_90d, max(n) / sum(n) AS genre_share,
            arg_max(genre, {{'n': n, 'last': last, 'genre': genre}}, 2) AS tops FROM pairs GROUP BY user_id),
        searches AS (SELECT user_id, count(*) AS searches_30d {rows} 'search' AND {since[30]} GROUP BY user_id),
        shares AS (SELECT user_id, count(*) AS shares_90d {rows} 'share' AND {since[90]} GROUP BY user_id),
        bought AS (SELECT user_id, count(*) AS orders, sum(amount) FILTER (WHERE {since[90]}) AS spend_90d, sum(amount) AS spend,
            max(amount) AS max_amount, min(amount) AS min_amount, max(time) AS last_order, min(time) AS first_order,
            arg_min(product, {{'t': time, 'p': product}}) AS first_product, sum(amount) FILTER (WHERE amount >= 200) AS large,
            sum(amount) FILTER (WHERE {doubled[90]} AND NOT {since[90]}) AS spend_before
            {rows} 'order' GROUP BY user_id),
        products AS (SELECT user_id, count(*) AS products FROM (SELECT DISTINCT user_id, product {rows} 'order' AND product IS NOT NULL) GROUP BY user_id),
        found AS (SELECT p.user_id, gender, city, {", ".join(f"coalesce({name}, 0) AS {name}" for name in _ZEROS)}, mean_minutes, max_amount, min_amount,
            {today} - {local("last_login")} AS days_since_login, {today} - {local("last_read")} AS days_since_read,
            {today} - {local("last_order")} AS days_since_order, first_product, last_device,
            coalesce(large, 0) / nullif(bought.spend, 0) AS large_share, fantasy / nullif(reads.reads_90d, 0) AS fantasy_share,
            tops[1] AS genre, tops[2] AS second_genre, genre_share,
            ({local("last_order")} - {local("first_order")}) / nullif(bought.orders - 1, 0) AS order_gap,
            coalesce(reads.reads_30d, 0) - coalesce(reads_before, 0) AS reads_trend, coalesce(bought.spend_90d, 0) / nullif(spend_before, 0) AS spend_trend
            FROM {_files(people)} AS p LEFT JOIN logins USING (user_id) LEFT JOIN days USING (user_id) LEFT JOIN reads USING (user_id)
            LEFT JOIN genres USING (user_id) LEFT JOIN searches USING (user_id) LEFT JOIN shares USING (user_id) LEFT JOIN bought USING (user_id)
            LEFT JOIN products USING (user_id))
        SELECT *, {_OF_TAGS} FROM found WINDOW w AS (PARTITION BY days_since_order IS NULL) ORDER BY user_id"""


def _doubled(starts: Starts) -> dict[int, str]:
    return {
        days: f"time >= TIMESTAMP '{starts[0] - 2 * (starts[0] - start)}'" for days, start in starts.items() if days
    }


def _files(paths: Sequence[str]) -> str:
    return f"read_parquet({list(paths)}, union_by_name = true)"
