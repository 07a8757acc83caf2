"""Tests of what projects and third-party stores use in their tests."""
