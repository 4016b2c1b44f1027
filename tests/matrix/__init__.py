"""Which official client can do what with which provider: every cell is tried through the gateway.

Read `cases.py` (the cells), then `capabilities.py` (what is tried). `clients/` has a file for each dialect of the Python
clients; `tests/js/` the same for JavaScript. What was found stands in `docs/compatibility.md`, which `table.py` reads and writes.
"""
