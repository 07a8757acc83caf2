"""Real worker processes on real databases."""
