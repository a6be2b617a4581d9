"""Floor 2: conditions on tags, segment definitions, audiences, comparison, export and scoring."""
