"""Fits the detector of injections, `python -m guardrails.training.fit`. Production loads none of it."""
