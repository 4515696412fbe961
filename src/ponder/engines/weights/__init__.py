"""The parts of the transformers engine: what a pass computes, what it leaves, and how a tokenizer is asked."""
