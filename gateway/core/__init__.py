"""The values that every other room speaks in: requests, exchanges, errors, time. Imports no other room.

Read `exchange.py` first.
"""
