"""What all tables of a spec have in common. Needs no JAX."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from jgmm.study.plain import plain


class Strict(BaseModel):
    """A model that takes no type for another, and no key that it does not have."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Table(Strict):
    """A table of a spec; from Python it also takes what `plain` turns into TOML's types."""

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, table: Any) -> Any:
        return plain(table)
