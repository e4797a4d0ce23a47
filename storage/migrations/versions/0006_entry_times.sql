-- The function is the chain's owner's: who may not become it for a moment cannot replace it.
DO $$
DECLARE
  owner CONSTANT NAME := pg_get_userbyid(proowner) FROM pg_proc WHERE proname = 'parley_audit_append';
BEGIN
  IF owner <> current_user AND NOT pg_has_role(owner, 'USAGE') THEN
    EXECUTE format('GRANT %I TO %I', owner, current_user);
    PERFORM set_config('parley.lent', owner, true);
  END IF;
END $$;

-- Appends, in order, the entries whose key is among `written` (all of them where it is null). An entry is
-- {"event", "key", "body_hash": 64 hex digits, "body": null or canonical JSON as a text}. Returns the head's sequence.
CREATE OR REPLACE FUNCTION parley_audit_append(task TEXT, by_fence BIGINT, by_actor TEXT, entries JSONB, written TEXT[])
RETURNS BIGINT LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  entry JSONB;
  place BIGINT;
  head BYTEA;
  link BYTEA;
  now_at CONSTANT TIMESTAMPTZ := now();
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

DO $$
DECLARE
  owner CONSTANT NAME := pg_get_userbyid(proowner) FROM pg_proc WHERE proname = 'parley_audit_append';
BEGIN
  IF current_setting('parley.lent', true) <> '' THEN
    EXECUTE format('REVOKE %I FROM %I', owner, current_user);
  END IF;
END $$;
