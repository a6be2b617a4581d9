"""The commands of the CLI, one file a noun. Each imports what it needs when it runs."""
