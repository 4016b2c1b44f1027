"""The sections of gateway.yaml, one file or package each: schema, dataclasses, reader, checks. `language.py` lists them.

Nothing is imported here, so that a process that needs a dataclass does not import what checks need (CEL, TLS).
"""
