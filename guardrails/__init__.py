"""What is allowed: filters produce findings, Cedar policies decide."""
