"""Stages, circles and closures of references, over random graphs."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_profile.dependencies import circles_of, closure_of, stages_of
from limner_profile.errors import InternalError

NAMES = "abcdefg"
GRAPHS = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3, unique=True), max_size=len(NAMES)
).map(lambda graph: {name: [inner for inner in needed if inner in graph] for name, needed in graph.items()})


def reached(graph: dict[str, list[str]], start: str) -> set[str]:
    """What is reached from a name by at least one reference."""
    found: set[str] = set()
    ahead = list(graph[start])
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += graph[name]
    return found


@given(GRAPHS)
def test_either_there_is_a_circle_or_there_are_stages(graph: dict[str, list[str]]) -> None:
    circular = {name for name in graph if name in reached(graph, name)}
    circles = circles_of(graph)
    for path in circles:
        assert path[0] == path[-1]
        assert all(later in graph[earlier] for earlier, later in pairwise(path))
    assert bool(circles) == bool(circular)
    if circular:
        with pytest.raises(InternalError):
            stages_of(graph)
        return
    stages = stages_of(graph)
    assert sorted(name for stage in stages for name in stage) == sorted(graph)
    depth = {name: number for number, stage in enumerate(stages) for name in stage}
    for name, needed in graph.items():
        assert depth[name] == max((depth[inner] + 1 for inner in needed), default=0)


@given(GRAPHS, st.sets(st.sampled_from(NAMES)))
def test_a_closure_holds_what_is_reached(graph: dict[str, list[str]], names: set[str]) -> None:
    known = names & set(graph)
    assert closure_of(names, graph) == known.union(*(reached(graph, name) for name in known))


def test_a_long_chain_needs_no_recursion() -> None:
    graph = {f"n{number}": [f"n{number + 1}"] for number in range(2000)} | {"n2000": ["n0"]}
    (circle,) = circles_of(graph)
    assert len(circle) == 2002
