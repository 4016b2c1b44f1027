"""`server`: where and how to listen, and the bounds of one request. Read `section.py` first."""
