"""Money: what a request has used and what that costs, in exact integer picodollars.

Imports `core` and `config.spec` only. Read `prices.py` first.
"""
