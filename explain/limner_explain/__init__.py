"""Floor 3: attribution, rule mining, insight cards and their wording."""
