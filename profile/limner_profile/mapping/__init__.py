"""Proposing a mapping: which columns of a file mean user, time, event, amount. Pure, except for `sample`, which reads files."""
