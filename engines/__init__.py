"""What an engine is, and running one: synchronous, pure, without torch."""
