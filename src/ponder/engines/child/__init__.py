"""An engine in a process of its own, for whoever must not parse a model file: the gateway, which holds keys."""
