"""Endpoints and pools: what the gateway has learned of each endpoint, and which endpoint of a pool takes a request.

May import `providers` and everything below it. Read `endpoint.py` first, then `selection.py` (which endpoints are eligible, which
one is picked), `concurrency.py` (how many requests run at a time) and `rotation.py` (which endpoints are out of rotation).
"""
