"""The verbs of the `jobs` command, one file each."""
