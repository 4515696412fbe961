"""The clients of other projects against our gateway: one list of cases, a script for each client that puts them in its words."""
