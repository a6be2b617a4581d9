"""Floor 5: the front door, with the Typer CLI and the demo."""
