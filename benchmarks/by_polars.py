"""The forty tags of the workload in polars: lazy, from Parquet to Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl


def write(acts: Sequence[str], people: Sequence[str], starts: Mapping[int, datetime], zone: str, target: Path) -> None:
    """Write the profiles, a row for each of the people; `starts` as in by_hand."""
    seen = pl.scan_parquet(list(acts)).filter(pl.col("time") < starts[0])
    today = pl.lit(starts[0]).dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.date()
    day = pl.col("time").dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.date()
    login, read, order = (pl.col("event") == name for name in ("login", "read", "order"))

    def since(days: int) -> Any:
        return pl.col("time") >= starts[days]

    def before(days: int) -> Any:
        length: timedelta = starts[0] - starts[days]
        return (pl.col("time") >= starts[0] - 2 * length) & ~since(days)

    amount, minutes = pl.col("amount"), pl.col("minutes")
    last_order, first_order = day.filter(order).max(), day.filter(order).min()
    aggregates = [
        (login & since(7)).sum().alias("logins_7d"),
        (login & since(30)).sum().alias("logins_30d"),
        (login & since(90)).sum().alias("logins_90d"),
        (read & since(30)).sum().alias("reads_30d"),
        (read & since(90)).sum().alias("reads_90d"),
        ((pl.col("event") == "search") & since(30)).sum().alias("searches_30d"),
        ((pl.col("event") == "share") & since(90)).sum().alias("shares_90d"),
        order.sum().alias("orders"),
        *(minutes.filter(read & since(days)).sum().alias(f"minutes_{days}d") for days in (7, 30, 90)),
        amount.filter(order & since(90)).sum().alias("spend_90d"),
        amount.filter(order).sum().alias("spend"),
        minutes.filter(read & since(90)).mean().alias("mean_minutes"),
        amount.filter(order).max().alias("max_amount"),
        amount.filter(order).min().alias("min_amount"),
        pl.col("product").filter(order).drop_nulls().n_unique().alias("products"),
        day.filter(login & since(30)).n_unique().alias("active_days_30d"),
        day.filter(login & since(90)).n_unique().alias("active_days_90d"),
        (today - day.filter(login).max()).dt.total_days().alias("days_since_login"),
        (today - day.filter(read).max()).dt.total_days().alias("days_since_read"),
        (today - last_order).dt.total_days().alias("days_since_order"),
        pl.col("product").filter(order).sort_by(pl.col("time").filter(order), pl.col("product").filter(order)).first().alias("first_product"),
        pl.col("device").filter(login).sort_by(pl.col("time").filter(login), pl.col("device").filter(login)).last().alias("last_device"),
        amount.filter(order & (amount >= 200)).sum().alias("large"),
        (read & since(90) & (pl.col("genre") == "玄幻")).sum().alias("fantasy"),
        (last_order - first_order).dt.total_days().alias("order_days"),
        (read & before(30)).sum().alias("reads_before"),
        amount.filter(order & before(90)).sum().alias("spend_before"),
    ]  # fmt: skip
    reads = seen.filter(read & since(90) & pl.col("genre").is_not_null())
    counted = reads.group_by("user_id", "genre").agg(pl.len().alias("n"), pl.col("time").max().alias("last"))
    genres = (
        counted.sort("n", "last", "genre", descending=True)
        .group_by("user_id", maintain_order=True)
        .agg(
            pl.col("genre").first().alias("genre"),
            pl.col("genre").get(1, null_on_oob=True).alias("second_genre"),
            (pl.col("n").max() / pl.col("n").sum()).alias("genre_share"),
            pl.len().alias("genres_90d"),
        )
    )
    zeros = ["logins_7d", "logins_30d", "logins_90d", "reads_30d", "reads_90d", "searches_30d", "shares_90d", "orders", "minutes_7d", "minutes_30d",
             "minutes_90d", "spend_90d", "spend", "genres_90d", "products", "active_days_30d", "active_days_90d", "large", "fantasy", "reads_before",
             "spend_before"]  # fmt: skip
    found = (
        pl.scan_parquet(list(people))
        .select("user_id", "gender", "city")
        .join(seen.group_by("user_id").agg(aggregates), on="user_id", how="left")
        .join(genres, on="user_id", how="left")
        .with_columns(pl.col(zeros).fill_null(0))
    )
    bought = pl.col("days_since_order").is_not_null()

    def mean(name: str) -> Any:
        return pl.col(name).filter(bought).mean()

    group = (
        (pl.col("days_since_order") <= mean("days_since_order")).cast(pl.Int8)
        + 2 * (pl.col("orders") >= mean("orders")).cast(pl.Int8)
        + 4 * (pl.col("spend") >= mean("spend")).cast(pl.Int8)
    )
    names = ["general_win_back", "general_develop", "general_keep", "general_value",
             "important_win_back", "important_develop", "important_keep", "important_value"]  # fmt: skip
    spend_90d, since_order = pl.col("spend_90d"), pl.col("days_since_order")

    def ratio(over: Any, under: str) -> Any:
        return pl.when(pl.col(under) != 0).then(over / pl.col(under))

    found.with_columns(
        ratio(pl.col("large"), "spend").alias("large_share"),
        ratio(pl.col("fantasy"), "reads_90d").alias("fantasy_share"),
        pl.when(pl.col("orders") > 1).then(pl.col("order_days") / (pl.col("orders") - 1)).alias("order_gap"),
        (pl.col("reads_30d").cast(pl.Int64) - pl.col("reads_before").cast(pl.Int64)).alias("reads_trend"),
        ratio(spend_90d, "spend_before").alias("spend_trend"),
        pl.when(spend_90d < 1).then(pl.lit("none")).when(spend_90d < 100).then(pl.lit("low")).when(spend_90d < 500)
        .then(pl.lit("middle")).otherwise(pl.lit("high")).alias("spend_band"),
        ((pl.col("spend").rank("min") - 1) / (pl.len() - 1)).alias("spend_percentile"),
        pl.when(bought).then(group.replace_strict(dict(enumerate(names)), return_dtype=pl.String, default=None)).alias("rfm"),
        pl.when(pl.col("orders") == 0).then(pl.lit("potential"))
        .when((pl.col("orders") == 1) & (since_order <= 30)).then(pl.lit("new"))
        .when(since_order <= 60).then(pl.lit("active")).when(since_order <= 180).then(pl.lit("at_risk"))
        .when(since_order > 180).then(pl.lit("lapsed")).alias("stage"),
        ratio(pl.col("minutes_90d"), "reads_90d").alias("minutes_per_read"),
    ).drop("large", "fantasy", "order_days", "reads_before", "spend_before").sort("user_id").sink_parquet(target)  # fmt: skip
