"""Money: what a request has used and what that costs, in exact integer picodollars.

May import `providers` and everything below it; `dialects`, `config` and `core` are enough. Read `prices.py` first, then `charge.py`.
"""
