"""The dashboard: pages that the server renders. Decode, call one use case, show."""
