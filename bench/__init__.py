"""Speed of the lanes beside bare LangGraph, DBOS and bare Prefect: `python -m bench.lanes`."""
