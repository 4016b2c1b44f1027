"""`drop_params`: what becomes of parameters that a provider's dialect can't express."""

from typing import Final

from gateway.config.section import Setting

DROP_PARAMS: Final = Setting(
    key="drop_params",
    about="Leave out of a request what the provider's dialect has no word for, instead of refusing it.",
    schema={"type": "boolean"},
    levels=("defaults", "provider", "model", "pool", "route"),
    default=False,
)
