"""Settings of the test project: one module per database."""
