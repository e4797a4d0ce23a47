"""What the red team attacks with: texts by source, scenarios, a pilot of its own, and the stored baseline."""
