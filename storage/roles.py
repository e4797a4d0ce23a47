"""The role that the application writes as: it may write every row but those of the audit chain, to which it appends."""

TAKE_ROLE = (
    "SELECT set_config('role', rolname, false) FROM pg_roles WHERE rolname = 'parley_writer' "
    "AND pg_has_role(oid, 'MEMBER') AND has_table_privilege(oid, to_regclass('public.tasks'), 'INSERT') "
    "AND has_table_privilege(oid, to_regclass('public.checkpoints'), 'INSERT')"
)
"""Takes it for the connection, where it exists, the login may take it and it has its rights in this database; elsewhere
the login goes on as itself, no row comes back and `parley doctor` says so. Nothing may be rolled back behind it.
"""

LEAVE_ROLE = "RESET ROLE"
"""Back to the login, which owns the tables."""
