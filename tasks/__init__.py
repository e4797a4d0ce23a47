"""The stage tasks: one file a stage, with its policy."""
