"""Getting an answer from a provider: which endpoint is asked, retries and failover, one attempt, batching, token counts.

May import `snapshot` and what stands below it. Read `dispatcher.py` first, then `failover.py` and `attempt.py`.
"""
