"""A generated reading app: its definitions, a year of small data, the generator, and the truth behind it."""
