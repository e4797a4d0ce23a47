"""The catalog of task types: pilots read from files, checked whole, with their payloads and cases."""
