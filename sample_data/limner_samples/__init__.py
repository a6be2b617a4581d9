"""Workspaces to try: a generated reading app and the Complete Journey retail data."""
