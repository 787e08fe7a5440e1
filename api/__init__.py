"""Real-time look-ups for the call centre."""
