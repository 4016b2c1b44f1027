"""Who may ask, and how much.

May import `providers` and everything below it; for now `config` and `core` are enough. Read `auth.py` first.
"""
