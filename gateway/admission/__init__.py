"""Admission: which client a request belongs to.

May import `providers` and everything below it; for now `config` and `core` are enough. Read `auth.py` first.
"""
