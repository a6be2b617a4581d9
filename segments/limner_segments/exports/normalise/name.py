"""First and last names: cleaning is all that they need; it is stated here per platform. Pure."""

from __future__ import annotations

from limner_segments.exports.normalise.text import Cleaning

# Google: trimmed, lower-case. A hyphen or an apostrophe belongs to the name.
GOOGLE_NAME = Cleaning(lower=True)
# Meta: lower-case without punctuation. Single spaces inside stay.
META_NAME = Cleaning(lower=True, punctuation=False)
