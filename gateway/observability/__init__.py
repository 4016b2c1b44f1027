"""What the gateway tells the world: counters for Prometheus, one line per request, the process' own log.

The hot path adds to cells that exist already; everything slower happens at a scrape or in a thread. Imports
`resilience`, `config` and `core`; the only home of `aioprometheus`. Read `families.py`, then `report.py`.
"""
