"""The Prefect flows, one a file, named by verb."""
