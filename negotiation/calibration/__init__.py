"""What resolved cases teach: reliabilities, the pool, certified thresholds. Needs numpy and scipy: import it late."""
