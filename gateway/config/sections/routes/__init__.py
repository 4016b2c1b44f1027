"""`routes`: which pool or model a request goes to; paths that are passed through. Read `section.py` first."""
