"""Files that only mypy reads: an expected error is a `type: ignore[code]`, and one that is not needed is an error."""
