"""An export of hashed e-mails and phone numbers for Google, ahead of pandas: `python benchmarks/exports.py [USERS]`.

Both normalise the same values and write the same bytes. The addresses are a third at Gmail, with capitals and spaces among them;
the numbers are Chinese mobiles, half of them written without the country code, and 0.2 % of them are wrong.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from limner_profile.catalog import Catalog, CatalogTag
from limner_profile.definitions import Title
from limner_profile.snapshots import Snapshot, SnapshotStore
from limner_segments.conditions import parse_condition
from limner_segments.exports.files import About, write_rows
from limner_segments.exports.formats.base import Options
from limner_segments.segment import NamedSegment, Segment

USERS = """
CREATE TABLE profiles AS SELECT
  'u' || lpad(CAST(i AS VARCHAR), 8, '0') AS user_id,
  CASE i % 3 WHEN 0 THEN ' First.Last' || i || '+shop@Gmail.com' WHEN 1 THEN 'user' || i || '@Example.com' ELSE 'a.b' || i || '@163.com' END
    AS email,
  CASE WHEN i % 500 = 0 THEN '12345' WHEN i % 2 = 0 THEN '+86138' ELSE '138' END || lpad(CAST(i AS VARCHAR), 8, '0') AS phone
FROM range($users) AS r(i)
"""


def make_snapshot(folder: Path, users: int) -> Snapshot:
    store = SnapshotStore(folder)
    with store.create(datetime(2025, 3, 1, tzinfo=UTC), ZoneInfo("Asia/Shanghai"), 10) as writer:
        writer.connection.execute(USERS, {"users": users})
    return store.open()


def by_limner(snapshot: Snapshot, target: Path) -> None:
    catalog = Catalog({name: CatalogTag(name, "attribute", "category", Title(en=name)) for name in ("email", "phone")})
    named = NamedSegment("all", Segment(where=parse_condition("email is known")))
    about = About("benchmark", datetime(2025, 3, 2, tzinfo=UTC))
    write_rows(
        snapshot, "SELECT user_id FROM profiles", {"email": "email", "phone": "phone"}, "google", target,
        named=named, catalog=catalog, about=about, min_size=50, options=Options(region="CN"), overwrite=True,
    )  # fmt: skip


def by_pandas(snapshot: Snapshot, target: Path) -> None:
    import phonenumbers

    def digest(text: Any) -> str | None:
        return hashlib.sha256(text.encode()).hexdigest() if isinstance(text, str) and text else None

    def e164(text: str) -> str | None:
        try:
            number = phonenumbers.parse(text, "CN")
        except phonenumbers.NumberParseException:
            return None
        if not phonenumbers.is_valid_number(number):
            return None
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)

    frame = snapshot.frame("SELECT user_id, email, phone FROM profiles ORDER BY user_id")
    email = frame["email"].str.normalize("NFKC").str.lower().str.replace(r"\s", "", regex=True)
    parts = email.str.split("@", n=1, expand=True)
    local = parts[0].str.replace(r"\+.*$", "", regex=True).str.replace(".", "", regex=False)
    gmail = parts[1].isin(["gmail.com", "googlemail.com"])
    email = email.mask(gmail, local + "@" + parts[1])
    written = frame.assign(Email=email.map(digest), Phone=frame["phone"].map(e164).map(digest))
    written = written[written["Email"].notna() | written["Phone"].notna()]
    written[["Email", "Phone"]].to_csv(target, index=False, lineterminator="\n")


def main() -> None:
    users = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name, make_snapshot(Path(name) / "state", users) as snapshot:
        took = {}
        for way in (by_limner, by_pandas):
            started, worked = time.perf_counter(), time.process_time()
            way(snapshot, Path(name) / f"{way.__name__}.csv")
            took[way.__name__] = time.perf_counter() - started
            print(
                f"{way.__name__}: {took[way.__name__]:.2f} s ({time.process_time() - worked:.2f} s of processor time) for {users:,} users"
            )
        same = (Path(name) / "by_limner.csv").read_bytes() == (Path(name) / "by_pandas.csv").read_bytes()
        print(f"{took['by_pandas'] / took['by_limner']:.1f} times as fast; {'the same' if same else 'OTHER'} bytes")


if __name__ == "__main__":
    main()
