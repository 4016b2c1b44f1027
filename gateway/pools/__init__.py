"""Live endpoints and pools: what is known of each, which endpoint of a pool gets a request, how many run at a time.

May import `providers` and what stands below it. Read `endpoint.py` first (live state; `target.py` and `route_plan.py` are what a
reload compiles anew), then `selection.py` (eligible targets, sticky, slow start) and `balancers/` (one strategy in each file:
`ewma.py`, `round_robin.py` …), `concurrency.py` and `fair_queue.py` (how many run, which wait), `rotation.py` (which endpoints take
requests), `directory.py` (what outlives reloads).
"""
