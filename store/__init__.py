"""The only room that opens files, databases and the environment."""
