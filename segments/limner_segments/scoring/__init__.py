"""Scenarios, outcomes, datasets, training, evaluation and rating."""
