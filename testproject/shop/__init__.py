"""A small shop: the app that the examples of the documentation belong to."""
