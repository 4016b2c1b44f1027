"""`drop_params`: what happens to parameters that a provider's dialect can't express."""

from typing import Final

from gateway.config.section import Setting

DROP_PARAMS: Final = Setting(
    key="drop_params",
    about="Drop parameters that the provider's dialect can't express, instead of refusing the request.",
    schema={"type": "boolean"},
    levels=("defaults", "provider", "model", "pool", "route"),
    default=False,
)
