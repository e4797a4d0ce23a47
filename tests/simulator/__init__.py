"""A seeded simulator: random histories of one task each, over the real graphs, stages and SQL.

Leases, fences, the ledger and the audit chain live in SQL, so the histories run on a real Postgres: a model of it would
be one more thing to get wrong. What is simulated is everything around it:

- the order: one coroutine of one run goes on at a time, from one gate (a transaction, a checkpoint, a call) to the
  next, and the seed says whose turn it is (`turns`);
- the clock: the database's `now()` is moved by the history, and each worker's machine has a wrong clock of its own
  (`stage`), so leases, approvals and deadlines run out without waiting;
- the panel: rule-based personas that agree, are level, or ask for a person, as the payload has it (`pilot`);
- the world: targets of each kind that count their effects and lose, refuse or keep answers (`world`);
- faults: runs that die at a kill point or a gate, are paused past their lease and go on stale, the same claim run
  twice, late, doubled and wrong answers, cancel, pause and resume at any moment, repeated submissions (`history`).

Then everything heals, the task has to come to its end, and `invariants` looks at what is left.

`python -m tests.simulator --histories 1000 [--seed N] [--json] [--verbose]`
"""
