"""The order of tags that refer to other tags: stages, circles, and what a tag needs. Pure; imports only errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from limner_profile.errors import InternalError

References = Mapping[str, Sequence[str]]


def stages_of(references: References) -> list[list[str]]:
    """The names in stages: the first refers to nothing, each later one to earlier stages only.

    Raises InternalError for a circle or a name that is not there: the catalog lets neither through.

    >>> stages_of({"group": ["age"], "age": [], "city": []})
    [['age', 'city'], ['group']]
    """
    depth: dict[str, int] = {}
    waiting = dict(references)
    while waiting:
        ready = {
            name: 1 + max((depth[inner] for inner in needed), default=-1)
            for name, needed in waiting.items()
            if all(inner in depth for inner in needed)
        }
        if not ready:
            raise InternalError(f"these tags refer to what is not there, or to each other: {', '.join(waiting)}")
        depth |= ready
        waiting = {name: needed for name, needed in waiting.items() if name not in ready}
    stages: list[list[str]] = [[] for _ in range(1 + max(depth.values(), default=0))]
    for name in references:
        stages[depth[name]].append(name)
    return stages


def circles_of(references: References) -> list[list[str]]:
    """The circles of names that refer to each other, each as a path that ends where it began.

    >>> circles_of({"a": ["b"], "b": ["a"], "c": ["a"]})
    [['a', 'b', 'a']]
    """
    circles: list[list[str]] = []
    done: set[str] = set()
    for start in references:
        # Each entry is a name and what of it is still to be followed; no recursion, so that no chain is too long.
        trail: list[tuple[str, list[str]]] = [(start, list(references[start]))] if start not in done else []
        path = [start]
        while trail:
            name, ahead = trail[-1]
            if not ahead:
                done.add(name)
                trail.pop()
                path.pop()
                continue
            following = ahead.pop(0)
            if following in path:
                circles.append([*path[path.index(following) :], following])
            elif following in references and following not in done:
                trail.append((following, list(references[following])))
                path.append(following)
    return circles


def closure_of(names: Iterable[str], references: References) -> set[str]:
    """The names with all that they refer to, and what that refers to; names that are not there are passed over."""
    found: set[str] = set()
    ahead = [name for name in names if name in references]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += [inner for inner in references[name] if inner in references]
    return found
