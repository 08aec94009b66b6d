"""From an algorithm to the next trial: suggestion, hard constraints, duplicates, fallback, replay."""
