"""The kinds of export file, one a module: what it asks for, how cells are written, and how a file is read back."""

from __future__ import annotations

import sys

from limner_segments.exports.formats.base import FORMATS, FileFormat

FORMATS.discover(sys.modules[__name__])


def file_format(word: str) -> FileFormat:
    """The kind of export called `word`; raises UnknownNameError with the nearest."""
    return FORMATS.get(word, "--as")()


__all__ = ["FORMATS", "FileFormat", "file_format"]
