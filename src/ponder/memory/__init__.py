"""Texts outside the model that a strategy can recall: a local collection, searched by words or by meaning."""

from ponder.memory.bm25 import BM25
from ponder.memory.passages import passages
from ponder.memory.vectors import MiniLM, Vectors

__all__ = ["BM25", "MiniLM", "Vectors", "passages"]
