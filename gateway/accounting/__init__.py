"""Tokens and money: what a request is estimated at, and what its answer cost, in exact integer picodollars.

Imports `core` and `config.spec` only. Read `prices.py` first.
"""
