"""Protection against failing providers: the breaker of an endpoint, the budget and the pauses of retries, the five timeouts of a
request, and the merging of these settings.

No I/O; the only wait is that of a retry for a token of its budget. Imports `config` and `core`. Read `breaker.py` first.
"""
