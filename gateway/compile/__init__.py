"""From a checked `Spec` to a `Snapshot` that serves requests. Control and workers run the same code.

May import `upstream` and what stands below it. Read `snapshot.py` first.
"""
