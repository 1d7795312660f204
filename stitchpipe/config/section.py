"""A table of a sweep file: strict about its keys, and silent about none that would do nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer, model_validator

from stitchpipe.config.refusal import RefusalError

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema


@dataclass(frozen=True)
class Beside:
    """Keys of a table that mean something only beside certain values of another key of it.

    Attributes
    ----------
    keys
        Which do nothing otherwise.
    key, values
        The other key and the values that make use of them; without `values`, any value that is given.
    unless
        A further key that makes use of them too, whatever its value, where it is given.
    """

    keys: tuple[str, ...]
    key: str
    values: tuple[str | bool, ...] = ()
    unless: str = ""

    def holds_in(self, table: Section) -> bool:
        """Whether a table makes use of the keys."""
        return self.holds(getattr(table, self.key)) or bool(self.unless and getattr(table, self.unless))

    def holds(self, value: Any) -> bool:
        """Whether a value of the other key makes use of the keys."""
        return value in self.values if self.values else value not in (None, ())

    def __str__(self) -> str:
        """Write the other key as it stands in a file."""
        return f"{self.key} = {' or '.join(map(written, self.values))}" if self.values else self.key


class Section(BaseModel):
    """A table of a sweep file: unknown keys are refused, nothing changes after reading.

    Keys that a rule in `BESIDE` says would do nothing are refused where they are given, and left out where the table
    is written: what is written out must be accepted when it is read back.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    BESIDE: ClassVar[tuple[Beside, ...]] = ()

    @model_validator(mode="after")
    def _no_key_does_nothing(self) -> Section:
        for rule in self.BESIDE:
            given = [key for key in rule.keys if key in self.model_fields_set]
            value = getattr(self, rule.key)
            if given and not rule.holds_in(self):
                raise RefusalError(
                    expected=f"`{rule}` beside `{given[0]}`, which does nothing without it",
                    found=f"{rule.key} = {written(value)}" if rule.values else f"no `{rule.key}`",
                    remedy=f"Remove `{given[0]}`, or {'set' if rule.values else 'add'} `{rule}`.",
                )
        return self

    @model_serializer(mode="wrap")
    def _without_idle_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        idle = self.idle_keys()
        return {key: value for key, value in handler(self).items() if key not in idle}

    def idle_keys(self) -> set[str]:
        """Return the keys that do nothing beside the values of the others."""
        return {key for rule in self.BESIDE if not rule.holds_in(self) for key in rule.keys}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the table's JSON schema, the rules of `BESIDE` among it."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        rules = [_as_condition(rule, key, cls) for rule in cls.BESIDE for key in rule.keys]
        return schema | ({"allOf": rules} if rules else {})


def _as_condition(rule: Beside, key: str, table: type[Section]) -> dict[str, Any]:
    """Return a rule about one key as JSON schema."""
    demanded: dict[str, Any] = {}
    if rule.values:
        demanded["properties"] = {rule.key: {"enum": list(rule.values)}}
    if not rule.holds(table.model_fields[rule.key].default):
        demanded["required"] = [rule.key]
    if rule.unless:
        demanded = {"anyOf": [demanded, {"required": [rule.unless]}]}
    return {"if": {"required": [key]}, "then": demanded}


def written(value: Any) -> str:
    """Return a value as a sweep file has it, strings in single quotes."""
    return str(value).lower() if isinstance(value, bool) else repr(value)
