"""Stores behind the ports: one folder or module per technology, none knows another."""
