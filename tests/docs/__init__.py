"""The documentation as a subject of tests: its examples run, its reference is complete, its links lead somewhere."""
