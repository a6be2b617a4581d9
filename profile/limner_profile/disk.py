"""The disk: a file gets its name once it is whole and written; a disk that is full, or a folder that may not be written to, is a complaint.

Imports errors only.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from limner_profile.errors import Issue, UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """A block that writes under `folder`; raises UserError (`disk-full`, `cannot-write`) where the system refuses."""
    try:
        yield
    except OSError as error:
        issue = _issue(error.errno or 0, folder)
        if issue is None:
            raise
        raise UserError(issue) from error
    except duckdb.Error as error:
        # DuckDB passes on what the system said as text, within an error of its own.
        found = next((number for number in (*_FULL, *_CLOSED) if os.strerror(number) in str(error)), 0)
        issue = _issue(found, folder)
        if issue is None:
            raise
        raise UserError(issue) from error


def _issue(number: int, folder: Path) -> Issue | None:
    if number in _FULL:
        hint = "free some space and try again; nothing that was published is lost"
        return Issue("disk-full", str(folder), f"the disk is full: {os.strerror(number)}", hint)
    if number in _CLOSED:
        hint = "check who owns the folder, and that the disk is not read-only"
        return Issue("cannot-write", str(folder), f"nothing can be written here: {os.strerror(number)}", hint)
    return None


def put(temporary: Path, path: Path) -> None:
    """Give a file that is complete its name, and wait until the disk has both."""
    fsync(temporary)
    os.replace(temporary, path)
    fsync(path.parent)


def fsync(path: Path) -> None:
    """Wait until the disk has a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
