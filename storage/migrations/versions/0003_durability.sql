ALTER TABLE tasks
	ADD COLUMN pause_requested BOOLEAN DEFAULT false NOT NULL,
	ADD COLUMN crashes INTEGER DEFAULT 0 NOT NULL,
	ADD COLUMN forked_from TEXT,
	ADD COLUMN fork_stage TEXT,
	ADD COLUMN dry_run BOOLEAN DEFAULT false NOT NULL;

ALTER TABLE actions
	ADD COLUMN kind TEXT DEFAULT 'dedup' NOT NULL,
	ADD COLUMN sent_at TIMESTAMP WITH TIME ZONE;

CREATE TABLE breakers (
	executor TEXT NOT NULL,
	failures INTEGER DEFAULT 0 NOT NULL,
	opened_at TIMESTAMP WITH TIME ZONE,
	note TEXT,
	CONSTRAINT pk_breakers PRIMARY KEY (executor)
);

-- An ended action stays as it ended. What a person's erasure leaves of a request or a response is
-- {"erased": <sha256 of what stood there>}, and no error text.
CREATE OR REPLACE FUNCTION actions_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  erasing CONSTANT boolean := NEW.status = OLD.status AND NEW.fence = OLD.fence AND NEW.attempts = OLD.attempts
    AND NEW.idempotency_key = OLD.idempotency_key AND NEW.executor = OLD.executor AND NEW.kind = OLD.kind
    AND (NEW.request = OLD.request OR NEW.request ? 'erased')
    AND (NEW.response IS NOT DISTINCT FROM OLD.response OR NEW.response IS NULL OR NEW.response ? 'erased')
    AND (NEW.error IS NOT DISTINCT FROM OLD.error OR NEW.error IS NULL OR NEW.error LIKE 'erased:%');
BEGIN
  IF OLD.status IN ('done', 'failed', 'refused', 'unknown') AND NOT erasing THEN
    RAISE EXCEPTION 'action %/% has ended as %', OLD.task_id, OLD.subtask_id, OLD.status;
  END IF;
  IF NEW.fence < OLD.fence OR NEW.idempotency_key <> OLD.idempotency_key
    OR (NEW.request <> OLD.request AND NOT NEW.request ? 'erased') THEN
    RAISE EXCEPTION 'action %/%: fence, key and request never move back', OLD.task_id, OLD.subtask_id;
  END IF;
  RETURN NEW;
END $$;

CREATE TABLE audit_log (
	task_id TEXT NOT NULL,
	seq BIGINT NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	event TEXT NOT NULL,
	key TEXT NOT NULL,
	actor TEXT NOT NULL,
	fence BIGINT NOT NULL,
	body_hash BYTEA NOT NULL,
	previous BYTEA NOT NULL,
	hash BYTEA NOT NULL,
	body JSONB,
	CONSTRAINT pk_audit_log PRIMARY KEY (task_id, seq)
);

CREATE TABLE audit_heads (
	task_id TEXT NOT NULL,
	seq BIGINT NOT NULL,
	hash BYTEA NOT NULL,
	CONSTRAINT pk_audit_heads PRIMARY KEY (task_id)
);

CREATE FUNCTION parley_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit chain is only ever appended to: % on % is refused', TG_OP, TG_TABLE_NAME;
END $$;
CREATE TRIGGER audit_log_keeps BEFORE UPDATE OR DELETE ON audit_log
  FOR EACH ROW EXECUTE FUNCTION parley_audit_refuse();
CREATE TRIGGER audit_log_stays BEFORE TRUNCATE ON audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION parley_audit_refuse();
CREATE TRIGGER audit_heads_keep BEFORE DELETE ON audit_heads
  FOR EACH ROW EXECUTE FUNCTION parley_audit_refuse();
CREATE TRIGGER audit_heads_stay BEFORE TRUNCATE ON audit_heads
  FOR EACH STATEMENT EXECUTE FUNCTION parley_audit_refuse();
CREATE TRIGGER audit_heads_grow BEFORE UPDATE ON audit_heads
  FOR EACH ROW WHEN (NEW.task_id <> OLD.task_id OR NEW.seq <= OLD.seq) EXECUTE FUNCTION parley_audit_refuse();

-- A field with its length before it: two lists of fields never give the same bytes.
CREATE FUNCTION parley_audit_field(field BYTEA) RETURNS BYTEA LANGUAGE sql IMMUTABLE STRICT AS
$$ SELECT int4send(octet_length(field)) || field $$;

-- Appends, in order, the entries whose key is among `written` (all of them where it is null). An entry is
-- {"event", "key", "body_hash": 64 hex digits, "body": null or canonical JSON as a text}. Returns the head's sequence.
CREATE FUNCTION parley_audit_append(task TEXT, by_fence BIGINT, by_actor TEXT, entries JSONB, written TEXT[])
RETURNS BIGINT LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  entry JSONB;
  place BIGINT;
  head BYTEA;
  link BYTEA;
  now_at CONSTANT TIMESTAMPTZ := clock_timestamp();
BEGIN
  FOR entry IN SELECT value FROM jsonb_array_elements(entries) LOOP
    CONTINUE WHEN written IS NOT NULL AND NOT (entry->>'key' = ANY (written));
    IF place IS NULL THEN
      INSERT INTO audit_heads (task_id, seq, hash) VALUES (task, 0, decode(repeat('00', 32), 'hex'))
        ON CONFLICT DO NOTHING;
      SELECT h.seq, h.hash INTO place, head FROM audit_heads h WHERE h.task_id = task FOR UPDATE;
    END IF;
    place := place + 1;
    link := sha256(
      head || int8send(place)
      || parley_audit_field(convert_to(task, 'UTF8'))
      || parley_audit_field(int8send((extract(epoch FROM now_at) * 1000000)::BIGINT))
      || parley_audit_field(convert_to(entry->>'event', 'UTF8'))
      || parley_audit_field(convert_to(entry->>'key', 'UTF8'))
      || parley_audit_field(convert_to(by_actor, 'UTF8'))
      || parley_audit_field(int8send(by_fence))
      || parley_audit_field(decode(entry->>'body_hash', 'hex'))
      || parley_audit_field(convert_to(coalesce(entry->>'body', ''), 'UTF8')));
    INSERT INTO audit_log (task_id, seq, at, event, key, actor, fence, body_hash, previous, hash, body)
      VALUES (task, place, now_at, entry->>'event', entry->>'key', by_actor, by_fence,
        decode(entry->>'body_hash', 'hex'), head, link, (entry->>'body')::JSONB);
    head := link;
  END LOOP;
  IF place IS NOT NULL THEN
    UPDATE audit_heads SET seq = place, hash = head WHERE task_id = task;
  END IF;
  RETURN place;
END $$;
REVOKE EXECUTE ON FUNCTION parley_audit_append(TEXT, BIGINT, TEXT, JSONB, TEXT[]) FROM PUBLIC;

-- Two roles without a login, where we may make roles: `parley_audit` owns the chain, `parley_writer` writes everything
-- else and may append. Roles belong to the whole server: another database of it may have made them already. Where it
-- cannot be done the chain stays ours, and `parley doctor` says so.
DO $$
DECLARE
  self CONSTANT TEXT := current_user;
  above CONSTANT BOOLEAN := rolsuper FROM pg_roles WHERE rolname = current_user;
  wanted TEXT;
BEGIN
  IF NOT (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = self) THEN
    RETURN;
  END IF;
  FOREACH wanted IN ARRAY ARRAY['parley_audit', 'parley_writer'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL;
    END;
    IF NOT above THEN
      EXECUTE format('GRANT %I TO %I', wanted, self);
    END IF;
  END LOOP;
  GRANT USAGE ON SCHEMA public TO parley_audit, parley_writer;
  GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO parley_writer;
  GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO parley_writer;
  ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO parley_writer;
  ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO parley_writer;
  REVOKE ALL ON audit_log, audit_heads FROM parley_writer;
  GRANT CREATE ON SCHEMA public TO parley_audit;
  ALTER TABLE audit_log OWNER TO parley_audit;
  ALTER TABLE audit_heads OWNER TO parley_audit;
  ALTER FUNCTION parley_audit_append(TEXT, BIGINT, TEXT, JSONB, TEXT[]) OWNER TO parley_audit;
  REVOKE CREATE ON SCHEMA public FROM parley_audit;
  SET LOCAL ROLE parley_audit;
  EXECUTE format('GRANT SELECT ON audit_log, audit_heads TO parley_writer, %I', self);
  EXECUTE format('GRANT EXECUTE ON FUNCTION parley_audit_append(TEXT, BIGINT, TEXT, JSONB, TEXT[]) TO parley_writer, %I', self);
  RESET ROLE;
  IF NOT above THEN
    EXECUTE format('REVOKE parley_audit FROM %I', self);
  END IF;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE NOTICE 'the roles of the audit chain could not be made: %', SQLERRM;
END $$;
