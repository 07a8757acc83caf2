"""Tests of the Redis backend: servers of their own for everything that hurts."""
