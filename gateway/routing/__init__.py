"""Routing: from a request to a route and the name of its pool or model. Pools are known by name only.

May import `providers` and everything below it; `dsl`, `config` and `core` are enough. Read `router.py` first.
"""
