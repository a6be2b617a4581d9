"""The generated reading app as tables and as Parquet files: the same arguments give the same bytes.

A year (2025, local time of Asia/Shanghai) of `users` users of an app for web novels. Their behaviour has the causes
that `truth` lists. Users are simulated in chunks, each with its own random stream, so that ten million events fit
into little memory. Imports only this folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from limner_samples.reading.behaviour import CAMPAIGN_DAYS, simulate
from limner_samples.reading.log import EVENTS, PRODUCTS, YEAR_SECONDS, Rows, expand
from limner_samples.reading.population import (
    CHANNELS,
    CITIES,
    DAY,
    DEVICES,
    GENDERS,
    GENRES,
    Population,
    draw_population,
)

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE_USERS: Final = 8_000
SAMPLE_SEED: Final = 6
CHUNK_USERS: Final = 40_000
DUPLICATE_SHARE: Final = 0.005
BROKEN_ROWS: Final = 10  # rows without a user, and as many without a time
CRM_QUIET_DAYS: Final = 28
CRM_STATUSES: Final = ("normal", "win_back")
COMPRESSION_LEVEL: Final = 15
ROW_GROUP_ROWS: Final = 1_000_000
ENCODINGS: Final = {  # by measurement; all other columns have a dictionary
    "event_id": "DELTA_BINARY_PACKED",
    "order_id": "DELTA_BINARY_PACKED",
    "received_at": "DELTA_BINARY_PACKED",
    "registered_at": "DELTA_BINARY_PACKED",
    "time": "PLAIN",  # late rows spoil deltas; byte streams of integers are not read everywhere
}


@dataclass(frozen=True)
class Sample:
    """The four tables, as pyarrow tables with local times that carry no zone."""

    users: pa.Table
    events: pa.Table
    orders: pa.Table
    campaigns: pa.Table


def generate(users: int, seed: int = SAMPLE_SEED, progress: Callable[[float], None] | None = None) -> Sample:
    """The tables of so many users; `progress` hears the share done. Raises ValueError for fewer than one user."""
    if users < 1:
        raise ValueError(f"at least one user is needed, not {users}")
    people: list[Population] = []
    chunks: list[Rows] = []
    for chunk, first in enumerate(range(0, users, CHUNK_USERS)):
        rng = np.random.default_rng(np.random.SeedSequence([seed, chunk]))
        pop = draw_population(rng, first, min(CHUNK_USERS, users - first), users)
        people.append(pop)
        chunks.append(expand(pop, simulate(pop, rng), rng))
        if progress:
            progress(0.8 * min(first + CHUNK_USERS, users) / users)
    rows = Rows.joined(chunks)
    chunks.clear()
    rng = np.random.default_rng(np.random.SeedSequence([seed, 10**6]))
    ids = _ids(users)
    sample = Sample(
        users=_users(people, rows, ids, rng),
        events=_events(rows, ids, rng),
        orders=_orders(rows, ids),
        campaigns=_campaigns(rows, ids),
    )
    if progress:
        progress(1.0)
    return sample


def write_sample(
    directory: Path, users: int, seed: int = SAMPLE_SEED, progress: Callable[[float], None] | None = None
) -> dict[str, int]:
    """File names and their rows, after writing them to `directory`, each under a temporary name first."""
    import pyarrow.parquet as pq

    directory.mkdir(parents=True, exist_ok=True)
    sample = generate(users, seed, (lambda share: progress(0.7 * share)) if progress else None)
    tables = {f"{name}.parquet": getattr(sample, name) for name in ("users", "events", "orders", "campaigns")}
    for done, (name, table) in enumerate(tables.items(), start=1):
        temporary = directory / f"{name}.tmp"
        encoded = {column: code for column, code in ENCODINGS.items() if column in table.column_names}
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=COMPRESSION_LEVEL,
            row_group_size=ROW_GROUP_ROWS,
            use_dictionary=[column for column in table.column_names if column not in encoded],  # pyright: ignore[reportArgumentType]
            column_encoding=encoded,
            write_statistics=True,
            store_schema=False,
        )
        temporary.replace(directory / name)
        if progress:
            progress(0.7 + 0.3 * done / len(tables))
    return {name: table.num_rows for name, table in tables.items()}


def _ids(users: int) -> pa.Array:
    import pyarrow as pa

    # pyarrow makes these functions when it is imported, so type checkers do not see them.
    import pyarrow.compute

    pc: Any = pyarrow.compute
    return pc.binary_join_element_wise("u", pc.utf8_lpad(pa.array(np.arange(users)).cast(pa.string()), 6, "0"), "")


def _moment(seconds: Any, missing: Any = None) -> pa.Array:
    import pyarrow as pa

    start = np.datetime64("2025-01-01T00:00:00", "s").astype(np.int64)
    return pa.array(((seconds + start) * 1000).astype("datetime64[ms]"), mask=missing)


def _coded(codes: Any, words: Any, missing: Any = None) -> pa.Array:
    """Words by their codes; -1 is null."""
    import pyarrow as pa

    mask = codes < 0 if missing is None else (codes < 0) | missing
    indices = pa.array(codes.astype(np.int32), mask=mask)
    return pa.DictionaryArray.from_arrays(indices, words if isinstance(words, pa.Array) else pa.array(list(words)))


def _users(people: list[Population], rows: Rows, ids: pa.Array, rng: np.random.Generator) -> pa.Table:
    import pyarrow as pa

    def column(name: str) -> Any:
        return np.concatenate([getattr(pop, name) for pop in people])

    quiet = YEAR_SECONDS - rows.last_login >= CRM_QUIET_DAYS * DAY
    draw = rng.random(len(quiet))
    status = np.where(draw < np.where(quiet, 0.97, 0.004), 1, np.where(rng.random(len(quiet)) < 0.85, 0, -1))
    birth = column("birth_year")
    return pa.table(
        {
            "user_id": ids,
            "registered_at": _moment(column("registered")),
            "gender": _coded(column("gender"), GENDERS),
            "birth_year": pa.array(birth.astype(np.int16), mask=birth < 0),
            "city": _coded(column("city"), CITIES),
            "channel": _coded(column("channel"), CHANNELS),
            "device": _coded(column("device"), DEVICES),
            "push_enabled": pa.array(column("push")),
            "crm_status": _coded(status, CRM_STATUSES),
        }
    )


def _events(rows: Rows, ids: pa.Array, rng: np.random.Generator) -> pa.Table:
    """Events as a log holds them: in the order of arrival, some twice, a few broken."""
    import pyarrow as pa

    order = np.lexsort([rows.time, rows.received])
    twice = rng.random(len(order)) < DUPLICATE_SHARE
    number = np.repeat(np.arange(1, len(order) + 1), 1 + twice)
    order = order[number - 1]
    broken = rng.choice(len(order), min(2 * BROKEN_ROWS, len(order)), replace=False)
    no_user, no_time = np.zeros(len(order), dtype=bool), np.zeros(len(order), dtype=bool)
    no_user[broken[::2]] = True
    no_time[broken[1::2]] = True
    minutes = rows.minutes[order].astype(np.float64)
    return pa.table(
        {
            "event_id": pa.array(number),
            "user_id": _coded(rows.user[order], ids, no_user),
            "time": _moment(rows.time[order], no_time),
            "event": _coded(rows.kind[order], EVENTS),
            "genre": _coded(rows.genre[order], GENRES),
            "minutes": pa.array(minutes, mask=np.isnan(minutes)),
            "received_at": _moment(rows.received[order]),
        }
    )


def _orders(rows: Rows, ids: pa.Array) -> pa.Table:
    import pyarrow as pa

    order = np.argsort(rows.order_time, kind="stable")
    return pa.table(
        {
            "order_id": pa.array(np.arange(1, len(order) + 1)),
            "user_id": _coded(rows.order_user[order], ids),
            "time": _moment(rows.order_time[order]),
            "product": _coded(rows.product[order], PRODUCTS),
            "amount": pa.array(rows.amount[order]),
        }
    )


def _campaigns(rows: Rows, ids: pa.Array) -> pa.Table:
    import pyarrow as pa

    days = np.datetime64("2025-01-01") + np.array(CAMPAIGN_DAYS)
    names = [f"recall_{str(day).replace('-', '')}" for day in days]
    order = np.lexsort([rows.campaign_user, rows.campaign_time])
    return pa.table(
        {
            "campaign_id": _coded(rows.campaign[order], names),
            "user_id": _coded(rows.campaign_user[order], ids),
            "time": _moment(rows.campaign_time[order]),
            "event": _coded(np.where(rows.campaign_treated[order], 0, 1), ("sms_sent", "sms_holdout")),
        }
    )
