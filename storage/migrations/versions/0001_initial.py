"""Tables, indexes and the guard of the action ledger."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None

# A trigger, so that no code path can move a finished action, its request, key or fence backwards.
LEDGER_GUARD = """
CREATE FUNCTION actions_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status IN ('done', 'failed', 'unknown') THEN
    RAISE EXCEPTION 'action %/% has ended as %', OLD.task_id, OLD.subtask_id, OLD.status;
  END IF;
  IF NEW.fence < OLD.fence OR NEW.idempotency_key <> OLD.idempotency_key OR NEW.request <> OLD.request THEN
    RAISE EXCEPTION 'action %/%: fence, key and request never move back', OLD.task_id, OLD.subtask_id;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER actions_guard BEFORE UPDATE ON actions FOR EACH ROW EXECUTE FUNCTION actions_guard();
"""

FOUR_EYES = "ALTER TABLE approvals ADD CONSTRAINT four_eyes CHECK (answered_by IS NULL OR answered_by <> submitter)"


def upgrade() -> None:
    """Create everything."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())
    op.execute(LEDGER_GUARD)
    op.execute(FOUR_EYES)
