"""One retryable step each: read, think, write."""
