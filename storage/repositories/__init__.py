"""The queries, one noun a file."""
