"""What keeps one provider's trouble from becoming everyone's: the breaker of an endpoint, the budget of retries and their
pauses, the five clocks of a request, and which settings of them hold.

No I/O, and nothing waits but a retry for a token of its budget. Imports `config` and `core`. Read `breaker.py` first.
"""
