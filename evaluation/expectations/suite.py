"""The suite that Great Expectations runs. Importing this takes 7-10 s of CPU: import it where it is used."""

import great_expectations as gx
from great_expectations.core import ExpectationValidationResult
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween
from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet
from great_expectations.expectations.core.expect_column_values_to_be_unique import ExpectColumnValuesToBeUnique
from great_expectations.expectations.core.expect_table_row_count_to_be_between import ExpectTableRowCountToBeBetween
from great_expectations.expectations.core.unexpected_rows_expectation import UnexpectedRowsExpectation

from domain.task import TaskStatus
from evaluation.expectations.lifecycle import RULES


def build_suite() -> gx.ExpectationSuite:
    """Columns first, then the rules of a task's life. Each expectation's `meta` has its rule and what it says."""
    columns = [
        ExpectTableRowCountToBeBetween(
            min_value=1, meta={"rule": "has_rows", "says": "There is at least one task to evaluate."}
        ),
        ExpectColumnValuesToBeUnique(column="id", meta={"rule": "unique_id", "says": "Task ids are unique."}),
        ExpectColumnValuesToBeInSet(
            column="status",
            value_set=[str(status) for status in TaskStatus],
            meta={"rule": "known_status", "says": "Every status is a known one."},
        ),
        ExpectColumnValuesToBeBetween(
            column="parked_seconds",
            min_value=0,
            meta={"rule": "parked_not_negative", "says": "Time parked is not negative."},
        ),
    ]
    rules = [
        UnexpectedRowsExpectation(
            unexpected_rows_query=f"WITH t AS (SELECT * FROM {{batch}}) {rule.query}",
            description=rule.says,
            meta={"rule": rule.id, "says": rule.says},
        )
        for rule in RULES
    ]
    return gx.ExpectationSuite(name="lifecycle", expectations=[*columns, *rules])


def validate(sync_url: str, query: str) -> list[ExpectationValidationResult]:
    """Run the suite on the rows of the query. The SUMMARY format, because COMPLETE fetches every row that fails."""
    # Without docs sites, which would leave a temporary folder behind each time; without their usage statistics.
    stores = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
    config = DataContextConfig(store_backend_defaults=stores, analytics_enabled=False)
    context = gx.get_context(mode="ephemeral", project_config=config)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_postgres("parley", connection_string=sync_url)
    batch = source.add_query_asset("tasks", query=query).add_batch_definition_whole_table("period")
    suite = context.suites.add(build_suite())
    definition = context.validation_definitions.add(gx.ValidationDefinition(name="lifecycle", data=batch, suite=suite))
    return list(definition.run(result_format="SUMMARY").results)
