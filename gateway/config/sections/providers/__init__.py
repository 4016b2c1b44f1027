"""`providers`: upstream APIs, their keys, and the way to them. Read `section.py` first."""
