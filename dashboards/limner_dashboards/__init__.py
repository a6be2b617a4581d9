"""Floor 4: the Dash application, its pages and charts."""
