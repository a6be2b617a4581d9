"""Tag kinds: one class in one file, found by the registry. A new kind is a new file here."""
