"""The predicate language: `where:` text, its typed tree, SQL and sentences.

Event filters (floor 1) and segment conditions (floor 2) are the same language over different fields, so its
kernel lives here, on the lower floor; segments add their own condition kinds through the same registry.
"""
