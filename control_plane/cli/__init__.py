"""The command line: one file per group of commands. Anything heavy is imported by the command that needs it."""
