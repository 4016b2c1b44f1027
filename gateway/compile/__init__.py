"""From a `Spec` to a `Snapshot` that serves requests. Control and workers run the same code.

May import `upstream` and the rooms below it. Read `snapshot.py` first.
"""
