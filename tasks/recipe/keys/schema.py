"""The JSON Schema of recipes, by which editors complete and check them: from the same keys the loader reads."""

from __future__ import annotations

import json
from typing import cast

from bootsmith.tasks.build.stage import Json
from bootsmith.tasks.recipe.keys.all import RECIPE
from bootsmith.tasks.recipe.values import files

_STRING: Json = {"type": ["string", "number", "boolean", "null"]}
_VARIABLE: Json = {
    "description": "${name}: the value of a variable; null: back to the default",
    "type": ["string", "null"],
    "pattern": r"\$",
}


def schema() -> dict[str, Json]:
    """Return the schema, in JSON Schema's draft 2020-12.

    It is laxer than the loader: a child recipe may leave out what its parents say, and a schema cannot see those.
    """
    body = RECIPE.schema()
    keys = cast("dict[str, Json]", body["properties"])
    theirs: dict[str, Json] = {key: {"$ref": f"#/properties/{key}"} for key in ("vars", *keys)}
    partial: Json = {"type": "object", "additionalProperties": False, "properties": theirs}
    head: dict[str, Json] = {
        "extends": {
            "description": "recipes to start from, by name or path; mappings merge, the rest is replaced",
            "anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": {"type": "string"}}],
        },
        "profiles": {
            "description": "partial recipes, each merged last by `doit profile=NAME`",
            "type": ["object", "null"],
            "additionalProperties": {"anyOf": [{"$ref": "#/$defs/profile"}, {"type": "null"}]},
        },
        "vars": {"$ref": "#/$defs/vars"},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A bootsmith recipe",
        "type": "object",
        "additionalProperties": False,
        "anyOf": [{"required": ["source"]}, {"required": ["extends"]}],
        "properties": {**head, **keys},
        "$defs": {"variable": _VARIABLE, "file": files.definition(), "vars": _vars(), "profile": partial},
    }


def _vars() -> Json:
    return {
        "description": "variables of the command line: a default, or {default:, help:, choices:}",
        "type": ["object", "null"],
        "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
        "additionalProperties": {
            "anyOf": [
                _STRING,
                {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "default": _STRING,
                        "help": {"type": "string"},
                        "choices": {"type": "array", "items": _STRING},
                    },
                },
            ]
        },
    }


def text() -> str:
    """Return the schema as the text of its file."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"
