"""Model servers with an OpenAI-compatible interface as engines."""
