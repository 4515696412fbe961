"""An OpenAI-compatible server in front of any of our models: every strategy, for every client, metered."""
