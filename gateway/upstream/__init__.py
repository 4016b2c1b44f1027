"""Obtaining a response from a provider: which endpoint is tried, retries and failover, one attempt, batching, token counts.

May import `snapshot` and what stands below it. Read `dispatcher.py` first, then `failover.py` (decides), `attempt.py` (one attempt with
breaker and records) and `request.py` (what is sent and read).
"""
