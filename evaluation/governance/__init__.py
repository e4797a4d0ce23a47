"""What was decided, asked, overridden and denied, each row with its place in the audit chain."""
