"""Postgres: tables, engines, the unit of work, repositories, leases, checkpoints and migrations."""
