"""What the gateway reports: metrics for Prometheus, one log line per request, and the process log.

The hot path adds to existing cells; everything slower happens at a scrape or in a thread. Imports `resilience`, `config`
and `core`; no other room imports `aioprometheus`. Read `families.py` (the catalogue of metrics) first, then `report.py`.
"""
