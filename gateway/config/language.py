"""The list of sections: the whole language. `section.py` says what a section consists of."""

from typing import Final

from gateway.config.section import Section
from gateway.config.sections.checks import CHECKS
from gateway.config.sections.defaults import DEFAULTS
from gateway.config.sections.include import INCLUDE, VERSION
from gateway.config.sections.let import LET
from gateway.config.sections.models import MODELS
from gateway.config.sections.observe import OBSERVE
from gateway.config.sections.pools import POOLS
from gateway.config.sections.providers.section import PROVIDERS
from gateway.config.sections.routes.section import ROUTES
from gateway.config.sections.server.section import SERVER
from gateway.config.sections.state import STATE
from gateway.config.sections.tenants import TENANTS

SECTIONS: Final[tuple[Section, ...]] = (
    VERSION,
    INCLUDE,
    SERVER,
    STATE,
    PROVIDERS,
    MODELS,
    POOLS,
    DEFAULTS,
    LET,
    ROUTES,
    TENANTS,
    OBSERVE,
    CHECKS,
)
"""In the order of the schema, in which they are read and checked too."""

INCLUDABLE: Final = tuple(section.key for section in SECTIONS if section.is_includable)
"""Sections that an included file may hold: what is defined by name. The rest has an order or exists once."""
