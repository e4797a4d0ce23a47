"""The SQL of the metrics. It runs in Postgres because moving a million rows out takes ten times as long."""

SCOPE = """
scope AS (
  SELECT t.id, t.status, t.escalated, t.answer, t.created_at, t.ended_at, t.parked_at, t.parked_seconds,
         t.status = ANY(:end_states) AS ended,
         t.status = 'done' AND NOT t.escalated AS alone,
         t.deadline_at + make_interval(secs => t.parked_seconds
           + CASE WHEN t.status = 'parked' THEN coalesce(extract(epoch FROM now() - t.parked_at), 0) ELSE 0 END
         ) AS due_at,
         o.right_action
  FROM tasks t LEFT JOIN outcomes o ON o.task_id = t.id
  WHERE t.task_type = :task_type AND t.created_at >= :since AND t.created_at < :until AND NOT t.dry_run
    AND (CAST(:batch_ids AS text[]) IS NULL OR t.batch_id = ANY(CAST(:batch_ids AS text[])))
)"""
"""A task's row with what the metrics ask of it. The deadline moves by the time that the task was parked."""

# A counter-proposal's option has a name of its own: its action stands in the proposal that made it.
VOTES = """
countered AS (
  SELECT DISTINCT ON (p.task_id, p.body->'counter'->>'name')
         p.task_id, p.body->'counter'->>'name' AS name, p.body->'counter'->>'action' AS action
  FROM proposals p JOIN scope s ON s.id = p.task_id
  WHERE p.subtask_id = :answer AND jsonb_typeof(p.body->'counter') = 'object'
),
votes AS (
  SELECT p.task_id, p.persona, p.round, p.confidence, coalesce(c.action, p.option) AS action, s.right_action
  FROM proposals p
  JOIN scope s ON s.id = p.task_id AND s.right_action IS NOT NULL
  LEFT JOIN countered c ON c.task_id = p.task_id AND c.name = p.option
  WHERE p.subtask_id = :answer AND p.struck IS NULL AND p.option IS NOT NULL
)"""
"""Votes that counted on the answer's subtask, where the right action is known."""

COUNTS = f"""
WITH {SCOPE}
SELECT count(*) AS total,
  count(*) FILTER (WHERE ended) AS ended,
  count(*) FILTER (WHERE alone) AS decided_alone,
  count(*) FILTER (WHERE alone AND answer = right_action) AS successes,
  count(*) FILTER (WHERE alone AND right_action IS NOT NULL) AS decided_known,
  count(right_action) AS outcomes_known,
  count(*) FILTER (WHERE escalated) AS escalated,
  count(*) FILTER (WHERE status = 'parked') AS parked,
  extract(epoch FROM max(now() - parked_at) FILTER (WHERE status = 'parked')) AS parked_oldest_seconds,
  count(*) FILTER (WHERE ended AND ended_at <= due_at) AS sla_met,
  count(*) FILTER (WHERE ended OR now() > due_at) AS sla_known,
  percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY extract(epoch FROM ended_at - created_at) - parked_seconds)
    FILTER (WHERE ended AND ended_at IS NOT NULL) AS latency
FROM scope"""

STATUSES = f"WITH {SCOPE} SELECT status, count(*) FROM scope GROUP BY status ORDER BY status"

ROUNDS = f"""
WITH {SCOPE}
SELECT d.rounds, count(*) FROM decisions d JOIN scope s ON s.id = d.task_id GROUP BY d.rounds ORDER BY d.rounds"""

VERDICTS = f"""
WITH {SCOPE}
SELECT coalesce(policy.id, '(no policy matched)') AS policy_id, v.effect, count(*)
FROM verdicts v JOIN scope s ON s.id = v.task_id
LEFT JOIN LATERAL jsonb_array_elements_text(v.policy_ids) AS policy(id) ON true
GROUP BY 1, 2 ORDER BY 1, 2"""

RIGHT_ACTIONS = f"""
WITH {SCOPE}
SELECT right_action, count(*), count(*) FILTER (WHERE alone AND answer = right_action)
FROM scope WHERE right_action IS NOT NULL GROUP BY right_action ORDER BY right_action"""

PERSONAS = f"""
WITH {SCOPE}, {VOTES}
SELECT v.persona, count(*) FILTER (WHERE v.action = v.right_action) AS hits,
  count(*) FILTER (WHERE v.action = v.right_action AND NOT coalesce(s.alone AND s.answer = s.right_action, false))
    AS losses
FROM votes v JOIN scope s ON s.id = v.task_id
WHERE v.round = 0 GROUP BY v.persona ORDER BY v.persona"""

CALIBRATION = f"""
WITH {SCOPE}, {VOTES},
final AS (SELECT DISTINCT ON (task_id, persona) * FROM votes ORDER BY task_id, persona, round DESC)
SELECT least(width_bucket(confidence, 0, 1, 10), 10) AS bin, count(*) AS n, avg(confidence) AS confidence,
  avg((action = right_action)::int)::float8 AS accuracy,
  sum((confidence - (action = right_action)::int) ^ 2) AS squares
FROM final WHERE confidence BETWEEN 0 AND 1 GROUP BY 1 ORDER BY 1"""

TOKENS = f"""
WITH {SCOPE}
SELECT coalesce(sum(t.prompt_tokens + t.completion_tokens), 0) FROM telemetry t JOIN scope s ON s.id = t.task_id"""

SEGMENTS = f"""
WITH {SCOPE}
SELECT coalesce(d.strategy, '(not negotiated)') AS strategy, count(*) AS total,
  count(s.right_action) AS outcomes_known,
  count(*) FILTER (WHERE s.alone AND s.answer = s.right_action) AS successes,
  count(*) FILTER (WHERE s.escalated) AS escalated
FROM scope s LEFT JOIN decisions d ON d.task_id = s.id AND d.subtask_id = :answer
GROUP BY 1 ORDER BY 1"""

# The explanation says who led each round, whether or not the lead decided; on a tie nobody did, and nobody was right.
DEBATE = f"""
WITH {SCOPE},
led AS (
  SELECT s.id, s.right_action, (r.body->>'round')::int AS round, coalesce(o.body->>'action', '') = s.right_action AS hit
  FROM scope s JOIN decisions d ON d.task_id = s.id AND d.subtask_id = :answer
  CROSS JOIN LATERAL jsonb_array_elements(d.body->'explanation'->'rounds') AS r(body)
  LEFT JOIN LATERAL jsonb_array_elements(d.body->'explanation'->'options') AS o(body)
    ON o.body->>'name' = r.body->>'leader'
  WHERE s.right_action IS NOT NULL
)
SELECT after.round, count(*) AS cases,
  count(*) FILTER (WHERE after.hit AND NOT before.hit) AS wrong_to_right,
  count(*) FILTER (WHERE before.hit AND NOT after.hit) AS right_to_wrong
FROM led after JOIN led before ON before.id = after.id AND before.round = after.round - 1
GROUP BY after.round ORDER BY after.round"""

WORST = f"""
WITH {SCOPE}
SELECT s.id, s.answer, s.right_action, d.margin, d.rounds
FROM scope s LEFT JOIN decisions d ON d.task_id = s.id AND d.subtask_id = :answer
WHERE s.alone AND s.answer <> s.right_action
ORDER BY d.margin DESC NULLS LAST, s.id LIMIT :limit"""

# Everything that the stages read of a task's rows, in one value: the key under which their results are cached.
FINGERPRINT = f"""
WITH {SCOPE}
SELECT md5(coalesce(string_agg(md5(concat_ws('|',
    to_jsonb(s)::text, t.payload::text,
    (SELECT string_agg(to_jsonb(x)::text, '' ORDER BY subtask_id) FROM subtasks x WHERE x.task_id = s.id),
    (SELECT string_agg(to_jsonb(x)::text, '' ORDER BY subtask_id) FROM decisions x WHERE x.task_id = s.id),
    (SELECT string_agg(to_jsonb(x)::text, '' ORDER BY subtask_id, round, persona)
       FROM proposals x WHERE x.task_id = s.id),
    (SELECT string_agg(to_jsonb(x)::text, '' ORDER BY subtask_id, round, persona)
       FROM telemetry x WHERE x.task_id = s.id),
    (SELECT string_agg(to_jsonb(x)::text, '' ORDER BY key) FROM verdicts x WHERE x.task_id = s.id),
    (SELECT string_agg(to_jsonb(x)::text, '' ORDER BY id) FROM approvals x WHERE x.task_id = s.id),
    (SELECT string_agg(to_jsonb(x)::text, '' ORDER BY subtask_id) FROM actions x WHERE x.task_id = s.id),
    (SELECT string_agg(to_jsonb(x)::text, '' ORDER BY idempotency_key) FROM records x WHERE x.task_id = s.id)
  )), '' ORDER BY s.id), '')) AS digest,
  bool_or(NOT s.ended) AS open
FROM scope s JOIN tasks t ON t.id = s.id"""
