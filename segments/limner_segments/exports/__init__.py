"""Exports: an audience as a file for a channel, with the manifest that proves it."""
