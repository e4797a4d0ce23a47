"""From a task type to a plan, and what may run next. Pure: it is handed data and imports no framework."""
