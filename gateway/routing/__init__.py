"""From a request to the pools that may answer it. Knows pools by their names only.

May import `providers` and everything below it; `dsl`, `config` and `core` are enough. Read `router.py` first.
"""
