"""The parts of the embedded engine: what lies in the cache, what runs in a step, what is drawn from it."""
