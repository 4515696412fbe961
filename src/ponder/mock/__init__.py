"""A model server and a network that fail on purpose, for tests and demonstrations."""
