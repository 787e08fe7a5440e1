"""The command line: each command asks a flow or reads the store."""
