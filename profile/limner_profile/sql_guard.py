"""What SQL from a stranger may be: one SELECT, over tables of the snapshot, with functions that are known to be harmless.

Judged on the tree of DuckDB's own parser (`json_serialize_sql`), so that what is checked is what runs. Everything that is not
listed here is refused, also what a later DuckDB may bring. Imports errors only.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

import duckdb

from limner_profile.errors import Issue, QueryError, did_you_mean


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Nodes of a query, relations and modifiers. Not here: PIVOT, SHOW, recursion without end, statements inside WITH.
_NODES = _words(
    """
    SELECT_NODE SET_OPERATION_NODE CTE_NODE BASE_TABLE SUBQUERY JOIN EMPTY EXPRESSION_LIST TABLE_FUNCTION
    ORDER_MODIFIER LIMIT_MODIFIER LIMIT_PERCENT_MODIFIER DISTINCT_MODIFIER ORDER_DEFAULT ASCENDING DESCENDING ORDER_ASC ORDER_DESC
    """
)
_EXPRESSIONS = _words(
    """
    CONSTANT COLUMN_REF FUNCTION WINDOW COMPARISON CONJUNCTION CAST CASE OPERATOR STAR SUBQUERY BETWEEN LAMBDA LAMBDA_REF
    COLLATE POSITIONAL_REFERENCE TYPE
    """
)
# Left out on purpose: what makes a long text or list out of a short one (repeat, lpad, rpad, range, printf, format, bar,
# list_resize), what tells of the machine (getenv, current_setting, version), and what reads or runs (read_*, query, glob).
_FUNCTIONS = _words(
    """
    + - * / // % ** ^ & | ~ << >> || ! @ ~~ ~~* !~~ !~~* ~~~ ^@
    abs ceil ceiling floor round trunc sign sqrt cbrt exp ln log log2 log10 pow power mod fmod divide greatest least sin cos tan
    asin acos atan atan2 cot degrees radians pi even gcd lcm isnan isinf isfinite bit_count hash random add subtract multiply
    count count_star count_if countif sum sum_no_overflow fsum kahan_sum sumkahan avg mean favg min max any_value first last
    arbitrary arg_min arg_max argmin argmax min_by max_by median mode quantile quantile_cont quantile_disc approx_quantile
    approx_count_distinct stddev stddev_pop stddev_samp variance var_pop var_samp corr covar_pop covar_samp regr_slope
    regr_intercept regr_r2 regr_count skewness kurtosis kurtosis_pop entropy mad bool_and bool_or bit_and bit_or bit_xor product
    geomean geometric_mean sem string_agg group_concat listagg list array_agg histogram
    row_number rank dense_rank rank_dense percent_rank cume_dist ntile lag lead first_value last_value nth_value fill
    lower upper lcase ucase length len strlen char_length character_length trim ltrim rtrim left right substring substr
    substring_grapheme contains starts_with prefix suffix ends_with instr strpos position replace concat concat_ws split str_split
    string_split split_part str_split_regex string_split_regex regexp_matches regexp_full_match regexp_extract
    regexp_extract_all regexp_replace regexp_split_to_array like_escape ilike_escape not_like_escape not_ilike_escape reverse
    translate ascii chr unicode md5 sha256 levenshtein editdist3 damerau_levenshtein jaccard jaro_similarity
    jaro_winkler_similarity hamming strip_accents nfc_normalize left_grapheme right_grapheme format_bytes
    date_part datepart date_trunc datetrunc date_diff datediff date_sub datesub date_add age today now current_date
    get_current_timestamp current_timestamp current_localtimestamp year month day hour minute second millisecond microsecond
    quarter week weekofyear weekday dayofweek isodow dayofmonth dayofyear isoyear yearweek era century decade millennium dayname
    monthname last_day epoch epoch_ms epoch_us epoch_ns make_date make_timestamp make_time strftime strptime try_strptime
    time_bucket to_timestamp timezone to_years to_months to_weeks to_days to_hours to_minutes to_seconds to_milliseconds
    to_microseconds to_quarters
    list_value list_contains list_has array_contains list_has_any list_has_all list_position list_extract array_extract
    list_element list_count list_sum list_avg list_min list_max list_first list_last list_sort list_distinct list_unique
    list_concat list_filter list_transform list_slice array_slice array_length list_aggregate list_any_value list_median unnest
    flatten array_value struct_pack struct_extract row map map_extract map_keys map_values map_entries map_contains cardinality
    element_at json_extract json_extract_string json_array_length json_keys json_type json_valid -> ->> json_extract_path
    json_extract_path_text coalesce ifnull nvl nullif if constant_or_null typeof grouping grouping_id alias equi_width_bins
    """
)
_TABLE_FUNCTIONS = frozenset({"unnest"})


def check_sql(connection: duckdb.DuckDBPyConnection, sql: str, tables: Collection[str]) -> None:
    """Nothing; raises QueryError with the reason where `sql` is more than a harmless SELECT over `tables`.

    Codes: `one-statement`, `not-read-only`, `not-allowed`, `unknown-table`, `bad-sql`.
    """
    row = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()[0]
    tree = json.loads(row[0])
    if tree.get("error"):
        message = str(tree.get("error_message") or "it cannot be read")
        if message.startswith("Only SELECT"):
            raise QueryError(
                Issue("not-read-only", "sql", "only SELECT is allowed: snapshots are read-only", "send a SELECT")
            )
        raise QueryError(Issue("bad-sql", "sql", message, "tables: " + ", ".join(sorted(tables))))
    statements = tree.get("statements", [])
    if len(statements) != 1:
        message = f"expected one statement, got {len(statements)}"
        raise QueryError(Issue("one-statement", "sql", message, "send one SELECT at a time"))
    nodes = list(_walk(statements[0]))
    known = {name.casefold() for name in tables} | {name.casefold() for node in nodes for name in _parts_of_with(node)}
    for node in nodes:
        _check_node(node, known, tables)


def _check_node(node: dict[str, Any], known: Collection[str], tables: Collection[str]) -> None:
    kind, family = node.get("type"), node.get("class")
    if isinstance(family, str):
        if family not in _EXPRESSIONS:
            raise _refused(f"{family.lower().replace('_', ' ')} is not allowed here")
    elif isinstance(kind, str) and kind not in _NODES and not kind.endswith("_TYPE_INFO") and "id" not in node:
        raise _refused(f"{kind.lower().replace('_', ' ')} is not allowed here")
    name = node.get("function_name")
    if isinstance(name, str) and name.casefold() not in _FUNCTIONS:
        raise _refused(f"the function {name!r} is not allowed here")
    if kind == "TABLE_FUNCTION":
        function = str((node.get("function") or {}).get("function_name", "this"))
        if function.casefold() not in _TABLE_FUNCTIONS:
            raise _refused(f"{function}(…) is not allowed as a table")
    if kind == "BASE_TABLE":
        table = str(node.get("table_name", ""))
        if node.get("schema_name") not in ("", "main", None) or node.get("catalog_name") not in ("", None):
            raise _refused(f"{node.get('schema_name')}.{table} is not a table of the snapshot")
        if table.casefold() not in known:
            hint = did_you_mean(table, tables, f"tables: {', '.join(sorted(tables))}")
            raise QueryError(Issue("unknown-table", "sql", f"unknown table {table!r}", hint))


def _parts_of_with(node: dict[str, Any]) -> list[str]:
    """The names that a WITH gives."""
    parts = node.get("cte_map")
    return [str(entry["key"]) for entry in parts.get("map", []) if "key" in entry] if isinstance(parts, dict) else []


def _walk(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:  # not by recursion: the tree is as deep as a stranger likes
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _refused(message: str) -> QueryError:
    hint = "a SELECT over the tables of the snapshot, with the common functions; use 'limner sql' for more"
    return QueryError(Issue("not-allowed", "sql", message, hint))
