"""Proposals over many shapes of files: clear ones, messy ones, and ones that must not be guessed."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner_profile.mapping.proposal import MappingProposal, name_after, propose_mapping
from limner_profile.sources import Source

RNG = random.Random(7)
START = datetime(2025, 1, 1)  # noqa: DTZ001


def proposed(text: str, label: str = "data.csv", given: Mapping[str, str | None] | None = None) -> MappingProposal:
    """The proposal for the text of a CSV file, with types as `file_columns` finds them."""
    from limner_profile.csv_dialect import csv_types

    header = text.splitlines()[0]
    delimiter = max(",;\t", key=header.count)
    rows = [{k: v or None for k, v in row.items()} for row in csv.DictReader(io.StringIO(text), delimiter=delimiter)]
    import tempfile
    from pathlib import Path

    import duckdb

    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        file = Path(folder) / "x.csv"
        file.write_text(text, encoding="utf-8")
        columns = csv_types(con, file)
    return propose_mapping(columns, rows, label, given)


def table(header: str, *columns: object, rows: int = 200) -> str:
    """CSV text: each column is a function of the row's number."""
    lines = [header]
    delimiter = ";" if ";" in header else ","
    for number in range(rows):
        lines.append(delimiter.join(str(column(number)) for column in columns))  # type: ignore[operator]
    return "\n".join(lines) + "\n"


def user(number: int) -> str:
    return f"u{RNG.randint(1, 40):03}"


def when(written: str):  # type: ignore[no-untyped-def]
    return lambda number: (START + timedelta(hours=number)).strftime(written)


def pick(*values: str):  # type: ignore[no-untyped-def]
    return lambda number: RNG.choice(values)


def roles(proposal: MappingProposal) -> dict[str, str]:
    return {role: chosen.column for role, chosen in proposal.roles.items() if chosen.column}


def as_source(proposal: MappingProposal) -> Source:
    """The proposal as a source, which must be a valid one."""
    fields = {field.name: field.column for field in proposal.fields}
    return Source.model_validate(
        {
            "type": proposal.type,
            "path": "x.csv",
            **roles(proposal),
            **({"event_name": proposal.event_name} if proposal.event_name else {}),
            ("attributes" if proposal.type == "users" else "properties"): fields,
        }
    )


def test_an_event_log_is_read_off_its_names() -> None:
    text = table(
        "user_id,ts,event_name,genre,seconds",
        user, when("%Y-%m-%d %H:%M"), pick("login", "read"), pick("a", "b"), lambda n: n % 90,
    )  # fmt: skip
    found = proposed(text, "log.csv")
    assert (found.type, found.type_sure, found.missing, found.unsure) == ("events", "sure", (), ())
    assert roles(found) == {"user": "user_id", "time": "ts", "event": "event_name"}
    assert {(field.name, field.type) for field in found.fields} == {("genre", "category"), ("seconds", "number")}
    assert as_source(found).event == "event_name"


def test_chinese_orders_with_ways_of_paying_are_orders() -> None:
    text = table(
        "订单号;会员编号;下单时间;品类;数量;单价;实付金额;支付方式",
        lambda n: f"DD{n:06}", lambda n: 10000 + RNG.randint(1, 50), when("%Y/%m/%d %H:%M"), pick("服装", "美妆"),
        lambda n: n % 3 + 1, lambda n: f"{n}.5", lambda n: f"{n * 2}.5", pick("微信", "支付宝"),
    )  # fmt: skip
    found = proposed(text, "订单_2025.csv")
    assert (found.type, found.missing, found.time_format) == ("orders", (), None)
    assert roles(found) == {"user": "会员编号", "time": "下单时间", "amount": "实付金额", "event_id": "订单号"}
    assert {field.name for field in found.fields} == {"品类", "数量", "单价", "支付方式"}
    as_source(found)


def test_a_table_of_users_is_known_by_its_unique_key() -> None:
    text = table(
        "CustomerID,First Name,E-Mail,Gender,Zip Code,Signup Date,NewsletterOptIn",
        lambda n: f"C{n:05}", lambda n: f"Ann{n}", lambda n: f"a{n}@example.com", pick("M", "F"),
        lambda n: 10000 + n % 30, lambda n: f"2024-0{1 + n % 9}-11", pick("0", "1"),
    )  # fmt: skip
    found = proposed(text, "export.csv")
    assert (found.type, found.type_sure) == ("users", "sure")
    assert roles(found) == {"user": "CustomerID", "since": "Signup Date"}
    kinds = {field.name: (field.type, field.stated) for field in found.fields}
    assert kinds == {
        "gender": ("category", False), "zip_code": ("category", True), "newsletter_opt_in": ("boolean", True),
    }  # fmt: skip
    assert set(found.left_out) == {"First Name", "E-Mail"}
    as_source(found)


def test_id_is_the_user_of_a_table_of_users_and_the_event_elsewhere() -> None:
    people = table("id,signed_up,city", lambda n: f"p{n}", lambda n: "2025-01-01", pick("Köln", "Berlin"))
    assert roles(proposed(people, "people.csv")) == {"user": "id", "since": "signed_up"}
    log = table("id,customer_id,time,action", lambda n: n, user, when("%Y-%m-%d"), pick("view", "buy"))
    assert roles(proposed(log)) == {"user": "customer_id", "time": "time", "event": "action", "event_id": "id"}


def test_german_dates_and_decimal_commas() -> None:
    text = table(
        "Bestellnummer;Kundennummer;Datum;Betrag",
        lambda n: 5000 + n, lambda n: f"K{RNG.randint(1, 30)}", when("%d.%m.%Y %H:%M"), lambda n: f"1.{100 + n},50",
    )  # fmt: skip
    found = proposed(text, "Bestellungen.csv")
    assert (found.type, found.time_format, found.decimal_comma) == ("orders", "%d.%m.%Y %H:%M", True)
    assert roles(found) == {
        "user": "Kundennummer", "time": "Datum", "amount": "Betrag", "event_id": "Bestellnummer",
    }  # fmt: skip


def test_decimal_commas_beside_decimal_points_are_not_guessed() -> None:
    text = table("kunde;datum;betrag;rabatt", user, when("%d.%m.%Y"), lambda n: f"{n},50", lambda n: f"{n}.25")
    found = proposed(text, "bestellungen.csv", {"type": "orders"})
    assert (found.decimal_comma, found.missing) == (False, ("amount",))
    assert any("'" in note and ",50" in note for note in found.notes)
    assert "decimal commas" in found.roles["amount"].why


def test_epoch_seconds_in_a_file_without_event_names() -> None:
    text = table("uid,created,page", user, lambda n: 1735689600 + 3600 * n, pick("home", "blog"))
    found = proposed(text, "page-views.csv")
    assert (found.type, found.time_format) == ("events", "unix")
    assert (found.event_name, found.event_name_sure) == ("page_view", "?")
    assert any(line.startswith("event_name: page_view") for line in found.unsure)


def test_orders_without_event_names_need_none() -> None:
    text = table("customer,order_date,total", user, when("%Y-%m-%d"), lambda n: f"{n}.99")
    found = proposed(text, "sales.csv")
    assert (found.type, found.event_name, found.missing) == ("orders", None, ())


def test_the_lines_of_orders_are_told_from_orders() -> None:
    text = table(
        "order_id,user_id,order_date,product,amount",
        lambda n: n // 3, user, when("%Y-%m-%d"), pick("a", "b"), lambda n: f"{n}.5",
    )  # fmt: skip
    found = proposed(text, "orders.csv")
    assert (found.column("event_id"), found.keep_duplicates) == (None, True)
    assert any("order_id repeats" in note and "line of one" in note for note in found.notes)
    assert "order_id" in {field.name for field in found.fields}


def test_nothing_like_a_user_is_not_guessed_between_equals() -> None:
    text = table(
        "a,b,c,d",
        lambda n: f"x{RNG.randint(1, 50)}", lambda n: f"y{RNG.randint(1, 40)}", when("%Y-%m-%d"), pick("login", "view"),
    )  # fmt: skip
    found = proposed(text)
    assert (found.missing, found.roles["user"].sure, set(found.roles["user"].rivals)) == (("user",), "?", {"a", "b"})
    assert (found.column("time"), found.column("event")) == ("c", "d")
    # One such column is proposed, but as unsure.
    one = proposed(table("a,c,d", lambda n: f"x{RNG.randint(1, 50)}", when("%Y-%m-%d"), pick("login", "view")))
    assert (one.column("user"), one.roles["user"].sure) == ("a", "?")
    assert any(line.startswith("user: a") for line in one.unsure)


def test_two_columns_that_are_called_alike_are_marked() -> None:
    text = table("customer_id,user_id,date,total", user, user, when("%Y-%m-%d"), lambda n: f"{n}.5")
    found = proposed(text)
    assert found.roles["user"].sure == "?"
    assert {found.column("user"), *found.roles["user"].rivals} == {"customer_id", "user_id"}
    assert "so is" in found.roles["user"].why


def test_a_table_of_things_has_no_user() -> None:
    found = proposed(table("product_id,title,price", lambda n: f"p{n}", lambda n: f"t{n}", lambda n: f"{n}.5"))
    assert set(found.missing) == {"user", "time"}
    assert found.type_sure == "?"


def test_times_that_read_two_ways_are_marked() -> None:
    text = table("user_id,date,action", user, pick("01/02/2025", "03/04/2025", "05/06/2025"), pick("view", "buy"))
    found = proposed(text)
    assert (found.time_format, found.roles["time"].sure) == ("%d/%m/%Y", "?")
    assert "%m/%d/%Y" in found.roles["time"].why
    stated = proposed(text, given={"time_format": "%m/%d/%Y"})
    assert (stated.time_format, stated.roles["time"].sure) == ("%m/%d/%Y", "sure")


def test_what_is_given_stands_and_the_rest_follows() -> None:
    text = table("a,b,c,d,e", user, user, when("%Y-%m-%d"), pick("x", "y"), lambda n: f"{n}.5")
    found = proposed(text, given={"type": "orders", "user": "b", "amount": "e"})
    assert roles(found) == {"user": "b", "time": "c", "amount": "e"}
    assert (found.type, found.type_sure, found.roles["user"].why) == ("orders", "sure", "as you said")
    named = proposed(text, given={"type": "events", "user": "a", "event_name": "visit", "event": None})
    assert (named.event_name, named.event_name_sure, named.column("event")) == ("visit", "sure", None)
    assert proposed(text, given={"user": None}).column("user") is None


def test_doubts_are_told() -> None:
    text = table(
        "user_id,order_id,paid_at,amount,status",
        lambda n: "" if n % 4 == 0 else user(n), lambda n: n, when("%Y-%m-%d"), lambda n: f"{n}.5", pick("paid", "refunded"),
    )  # fmt: skip
    notes = proposed(text, "orders.csv").notes
    assert any("user_id is empty in 25% of the rows" in note for note in notes)
    assert any("status says 'refunded'" in note for note in notes)


def test_a_received_time_is_mapped_where_it_is_written_like_the_time() -> None:
    text = table(
        "uid,event_time,received_at,event", user, when("%Y-%m-%d %H:%M"), when("%Y-%m-%d %H:%M"), pick("view", "buy")
    )
    assert proposed(text).column("received") == "received_at"
    odd = table("uid,event_time,received_at,event", user, when("%Y-%m-%d"), when("%d.%m.%Y"), pick("view", "buy"))
    assert proposed(odd).column("received") is None


def test_a_log_of_changes_is_a_table_of_users_with_history() -> None:
    text = table("customer_id,city,plan,updated_at", user, pick("Köln", "Ulm"), pick("a", "b"), when("%d.%m.%Y %H:%M"))
    found = proposed(text, "crm.csv")
    assert (found.type, found.time_format, found.timed) == ("users", "%d.%m.%Y %H:%M", "updated_at")
    assert roles(found) == {"user": "customer_id", "updated_at": "updated_at"}
    assert {field.name for field in found.fields} == {"city", "plan"}
    as_source(found)
    # With a row a user it is the time of an edit, and what came before is lost.
    once = table(
        "customer_id,city,updated_at,signup_date",
        lambda n: f"c{n}",
        pick("Köln", "Ulm"),
        when("%Y-%m-%d"),
        when("%Y-%m-%d"),
    )
    assert roles(proposed(once, "crm.csv")) == {"user": "customer_id", "since": "signup_date"}


def test_what_the_sample_cannot_use_is_left_out_with_a_reason() -> None:
    text = table(
        "user_id,time,event,empty,url,ip,mode",
        user, when("%Y-%m-%d"), pick("view", "buy"), lambda n: "", lambda n: f"/p/{n}", lambda n: "1.1.1.1", lambda n: "web",
    )  # fmt: skip
    out = proposed(text).left_out
    assert out == {
        "empty": "it is empty",
        "url": "it is different in almost every row",
        "ip": "it says who a person is",
        "mode": "it always says 'web'",
    }


def test_names_that_are_limner_s_own_get_others() -> None:
    text = table(
        "user_id,time,event,source,User ID", user, when("%Y-%m-%d"), pick("view", "buy"), pick("a", "b"), pick("1", "2")
    )
    found = proposed(text)
    names = {field.column: field.name for field in found.fields}
    assert names["source"] == "my_source"
    assert names["User ID"] == "my_user_id"
    as_source(found)


def test_parts_of_nested_values_are_called_after_their_last_part() -> None:
    rows = [
        {"uid": f"u{n % 9}", "t": f"2025-01-0{n % 9 + 1}", "e": "view", "p": "{}", "p.genre": "x", "p.n": "1"}
        for n in range(60)
    ]
    rows[0]["e"] = "buy"
    rows[0]["p.genre"] = "y"
    rows[0]["p.n"] = "2"
    kinds = {"uid": "VARCHAR", "t": "DATE", "e": "VARCHAR", "p": "VARCHAR", "p.genre": "VARCHAR", "p.n": "BIGINT"}
    found = propose_mapping(kinds, rows, "events.jsonl")
    assert {field.column: field.name for field in found.fields} == {"p.genre": "genre", "p.n": "n"}
    assert found.left_out == {"p": "its parts are mapped one by one"}


@pytest.mark.parametrize("type_", ["users", "events", "orders"])
def test_no_rows_and_no_columns_are_no_error(type_: str) -> None:
    for columns in ({}, {"user_id": "VARCHAR", "time": "TIMESTAMP", "amount": "DOUBLE"}):
        found = propose_mapping(columns, [], "x.csv", {"type": type_})
        assert found.type == type_
        assert found.missing


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("visits.csv", "visit"),
        ("Page-Views 2025-03.csv.gz", "page_view"),
        ("订单_2025.csv", "订单"),
        ("2025.csv", "file_2025"),
        ("class.csv", "class"),
    ],
)
def test_names_after_files(label: str, name: str) -> None:
    assert name_after(label, single=True) == name


def test_codes_are_event_names_where_the_column_says_so() -> None:
    columns = (user, lambda n: f"i{n % 50}", pick("1", "2", "3", "4"), when("%Y-%m-%d %H"))
    found = proposed(table("user_id,item_id,behavior_type,time", *columns))
    assert found.column("event") == "behavior_type"
    assert proposed(table("user_id,item_id,grade,time", *columns)).column("event") is None


CELL = st.one_of(
    st.none(),
    st.sampled_from(
        ["u1", "u2", "2025-01-01", "1.2.2025", "1735689600", "1,5", "3.5", "login", "登录", "true", " ", "1e309", "nan"]
    ),
    st.text(max_size=6),
)
NAMES = st.one_of(
    st.sampled_from(
        ["user_id", "time", "event", "amount", "id", "用户ID", "时间", "order_id", "received_at", "a b", "p.x", "p"]
    ),
    st.text(min_size=1, max_size=8),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_table_gives_a_proposal_and_a_whole_one_a_source(data: st.DataObject) -> None:
    names = data.draw(st.lists(NAMES, min_size=1, max_size=6, unique_by=str.casefold))
    kinds = {
        name: data.draw(st.sampled_from(["VARCHAR", "DOUBLE", "BIGINT", "DATE", "TIMESTAMP", "BOOLEAN"]))
        for name in names
    }
    rows = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(names, CELL)), max_size=25))
    found = propose_mapping(kinds, rows, data.draw(st.sampled_from(["orders.csv", "users.csv", "x.csv", ""])))
    used = [*roles(found).values(), *(field.column for field in found.fields), *found.left_out]
    assert sorted(used) == sorted(names)
    assert len({field.name for field in found.fields}) == len(found.fields)
    if not found.missing:
        as_source(found)


DEVICE = (lambda n: f"d{n:04}", lambda n: 10000 + n % 150)


@pytest.mark.parametrize(
    ("label", "text", "expected"),
    [
        ("device_accounts.csv", table("device_id,account_id", *DEVICE), {"user": "account_id", "other": "device_id"}),
        ("ids.csv", table("device;account", *DEVICE), {"user": "account", "other": "device"}),
        ("手机.csv", table("手机号,会员编号", lambda n: 13800000000 + n, lambda n: f"M{n % 170}"),
         {"user": "会员编号", "other": "手机号"}),
        ("links.csv", table("id,user_id,other_id,kind,seen_at,removed", lambda n: n, lambda n: f"u{n % 90}",
         lambda n: f"x{n}", lambda n: ("phone", "device")[n % 2], when("%d.%m.%Y %H:%M"), lambda n: ("true", "false")[n % 2]),
         {"user": "user_id", "other": "other_id", "kind": "kind", "time": "seen_at", "removed": "removed"}),
        ("links.csv", table("device_id,account_id,id_kind,unlinked_at", *DEVICE, lambda n: "account", when("%Y-%m-%d")),
         {"user": "device_id", "other": "account_id", "kind": "id_kind", "until": "unlinked_at"}),
    ],
)  # fmt: skip
def test_a_file_of_id_pairs_is_one_of_identities(label: str, text: str, expected: dict[str, str]) -> None:
    found = proposed(text, label)
    assert (found.type, found.missing, found.fields) == ("identities", (), ())
    assert roles(found) == expected
    assert found.time_format == ("%d.%m.%Y %H:%M" if "removed" in expected else None)
    assert as_source(found).type == "identities"


@pytest.mark.parametrize(
    ("label", "text", "kind"),
    [
        ("users.csv", table("user_id,device_id,registered_at", lambda n: f"u{n}", lambda n: f"d{n % 99}",
         when("%Y-%m-%d")), "users"),
        ("customers.csv", table("customer_id,phone", lambda n: f"c{n}", lambda n: 13800000000 + n), "users"),
        ("logins.csv", table("user_id,device_id,time", user, lambda n: f"d{n % 50}", when("%Y-%m-%d %H:%M")), "events"),
        ("x.csv", table("user_id,device_id,time", user, lambda n: f"d{n % 50}", when("%Y-%m-%d %H:%M")), "events"),
        ("people.csv", table("user_id,phone,city", lambda n: f"u{n}", lambda n: 13800000000 + n, pick("a", "b")), "users"),
        ("people.csv", table("user_id,account_level", lambda n: f"u{n}", lambda n: n % 50), "users"),
        ("people.csv", table("user_id,device", lambda n: f"u{n}", pick("iPhone", "Pixel 7")), "users"),
        ("orders.csv", table("order_id,user_id,account_id,date,amount", lambda n: n, user, lambda n: f"k{n}",
         when("%Y-%m-%d"), lambda n: f"{n}.5"), "orders"),
    ],
)  # fmt: skip
def test_two_ids_alone_do_not_make_pairs(label: str, text: str, kind: str) -> None:
    assert proposed(text, label).type == kind


def test_pairs_may_be_said_to_be_pairs() -> None:
    text = table("a,b,c", lambda n: f"x{n}", lambda n: f"y{n % 9}", pick("k", "l"))
    found = proposed(text, given={"type": "identities"})
    assert found.missing == ("user", "other")
    done = proposed(text, given={"type": "identities", "user": "b", "other": "a", "kind": "c"})
    assert (done.missing, roles(done)) == ((), {"user": "b", "other": "a", "kind": "c"})
    as_source(done)


CUSTOMERS = ("customer_id,city,level,age,signup_date", lambda n: f"C{n % 2001:05}", pick("北京", "上海"), pick("gold", "new"),
             lambda n: "unknown" if n == 1500 else 20 + n % 50, lambda n: f"2024-0{1 + n % 9}-11")  # fmt: skip


@pytest.mark.parametrize("label", ["customers.csv", "export.csv"])
def test_one_repeated_id_leaves_a_table_of_users_one(label: str) -> None:
    found = proposed(table(*CUSTOMERS, rows=2002), label)
    assert (found.type, found.missing) == ("users", ())
    assert found.type_sure == ("likely" if label == "customers.csv" else "?")
    assert roles(found) == {"user": "customer_id", "since": "signup_date"}
    assert {(field.name, field.type, field.stated) for field in found.fields if field.name == "age"} == {
        ("age", "number", True)
    }
    assert found.unsure[-2:] == (
        "customer_id: 1 row of 2,002 repeats the id of another; the last row of a user counts",
        "age: 1 row of 2,002 is no number ('unknown'): kept aside at the build",
    )


def test_ids_that_often_come_again_are_no_table_of_users() -> None:
    header, _, *others = CUSTOMERS
    found = proposed(table(header, lambda n: f"C{n % 1900:05}", *others, rows=2002), "export.csv")
    assert found.type == "events"


def test_acts_of_users_who_rarely_come_again_stay_acts() -> None:
    text = table(
        "customer_id,time,page", lambda n: f"C{n % 2001:05}", when("%Y-%m-%d %H:%M"), pick("a", "b"), rows=2002
    )
    assert proposed(text, "log.csv").type == "events"


@pytest.mark.parametrize("written", ["{}.5", "{},50"])
def test_one_amount_that_is_none_leaves_the_others_amounts(written: str) -> None:
    text = table(
        "order_id;customer_id;order_time;total",
        lambda n: f"O{n:06}", user, lambda n: "soon" if n in (7, 9) else when("%Y-%m-%d %H:%M")(n),
        lambda n: "many" if n == 3000 else written.format(n), rows=4060,
    )  # fmt: skip
    found = proposed(text, "orders.csv")
    assert (found.type, found.type_sure, found.missing) == ("orders", "sure", ())
    assert found.column("amount") == "total"
    assert found.decimal_comma == ("," in written)
    assert set(found.unsure) == {
        "order_time: 2 rows of 4,060 are no time ('soon'): kept aside at the build",
        "total: 1 row of 4,060 is no number ('many'): kept aside at the build",
    }


def test_many_values_that_are_no_numbers_make_a_column_of_text() -> None:
    text = table(
        "user_id,time,event,score", user, when("%Y-%m-%d"), pick("a", "b"), lambda n: "none" if n % 50 == 0 else n % 30
    )
    found = proposed(text)
    assert {field.name: field.type for field in found.fields} == {"score": "category"}
    assert found.unsure == ()


def test_codes_with_a_few_letters_stay_codes() -> None:
    text = table(
        "user_id,time,event,product_id", user, when("%Y-%m-%d"), pick("a", "b"), lambda n: "X1" if n == 5 else n % 40
    )
    found = proposed(text)
    assert {(field.name, field.type, field.stated) for field in found.fields} == {("product_id", "category", True)}
    assert found.unsure == ()


def test_values_that_differ_in_blanks_are_told() -> None:
    text = table("user_id,city", lambda n: f"u{n:03}", lambda n: ("北京", "上海", "北京 ", " 上海", "广州")[n % 5])
    (line,) = proposed(text, "users.csv").unsure
    assert line == (
        "city: 2 of 5 values differ from another only in blanks at the ends, and count as values of their own; mend them in the file"
    )
