"""What happens next: the two LangGraph graphs, dispatch, runs and the worker."""
