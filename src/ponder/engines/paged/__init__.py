"""The engine whose cache is cut into blocks that sequences share."""
