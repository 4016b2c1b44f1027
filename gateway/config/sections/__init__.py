"""The sections of gateway.yaml, one file or package each: schema, dataclasses, reader, checks. `spec.py` lists them."""
