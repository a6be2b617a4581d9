"""Outcome kinds: what a scenario predicts, one class in one file, found by the registry."""
