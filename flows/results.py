"""Where the traced lane keeps the results of its cached stages."""

from prefect.settings import get_current_settings

# Named here, Prefect need not ask its server for a default at the start of every flow; subflows inherit it. The stages'
# facts are in Postgres: a result that another machine cannot read only means that its stage finds them standing.
RESULTS = get_current_settings().results.local_storage_path
