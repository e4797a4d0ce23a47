"""After each test of a fault that has a database, the invariants are checked on it."""

from tests.faults.held import invariants_hold as invariants_hold
