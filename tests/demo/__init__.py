"""Tests of the demo: its parts, and real runs of the command on a small fake environment."""
