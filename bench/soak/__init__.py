"""A load that must survive Postgres and workers dying under it; `python -m bench.soak` judges what is left."""
