"""The shapes that cross a border: contracts, tables, messages."""
