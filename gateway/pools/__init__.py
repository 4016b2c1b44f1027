"""The endpoints that can be asked, what is known of each, and the order in which they are.

May import `providers`, `resilience`, `config` and `core`. Read `endpoint.py` first.
"""
