"""The red team at work: texts through a task type's gate, and whole tasks whose panel obeys whatever it reads."""
