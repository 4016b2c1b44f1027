"""Admission: which client a request belongs to.

May import `providers` and everything below it. Read `auth.py` first.
"""
