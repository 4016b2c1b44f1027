"""What keeps one provider's trouble from becoming everyone's: the breaker of an endpoint, the five clocks of a request.

Pure and synchronous: nothing here waits, the time is passed in. Imports `config` and `core`. Read `breaker.py` first.
"""
