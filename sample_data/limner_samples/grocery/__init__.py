"""The Complete Journey retail data as a workspace: how its files are prepared from the package that carries it."""
