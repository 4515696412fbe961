"""Schemas and values that nobody trusts, looked at in processes that can be killed."""

import anyio
import pytest

from ponder import UsageError
from ponder.runtime.schemas import Schemas

LEFT = {"type": "object", "properties": {"left": {"type": "integer"}}, "required": ["left"]}
PATIENT = 100.0
"""Seconds; a machine may be busy."""


def asked(*pairs, limit=PATIENT):
    async def job():
        schemas = Schemas(limit=limit)
        try:
            return [await schemas.misfit(value, schema) for value, schema in pairs]
        finally:
            await schemas.aclose()

    return anyio.run(job)


def doubling(levels):
    """A schema of a few lines that asks for 2 ** levels looks at the value."""
    names = [f"#/$defs/{i}" for i in range(levels)]
    steps = {str(i): {"allOf": [{"$ref": name}] * 2} for i, name in enumerate(names[1:])}
    return {"$defs": steps | {str(levels - 1): {"type": "string"}}, "$ref": names[0]}


def test_what_keeps_to_a_schema_and_what_does_not():
    assert asked(('{"left": 29}', LEFT), ('{"left": "x"}', LEFT), ("[]", LEFT), (None, LEFT)) == [
        None,
        'at left: "x" is not of type "integer"',
        '[] is not of type "object"',
        None,
    ]
    assert asked(('"x"', doubling(3))) == [None]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no such type"},
        {"pattern": "("},
        {"$ref": "#/nowhere"},
        {"$ref": "http://127.0.0.1:9/schema"},
        {"$ref": "file:///etc/passwd"},
        {"$schema": "http://127.0.0.1:9/dialect"},
    ],
    ids=str,
)
def test_what_is_no_schema_or_would_fetch_one_is_refused(schema):
    with pytest.raises(UsageError, match="The JSON schema cannot be used"):
        asked((None, schema))


def test_a_schema_that_asks_for_too_much_work_is_given_up_and_the_next_is_looked_at():
    async def job():
        schemas = Schemas(limit=PATIENT)
        try:
            assert await schemas.misfit('{"left": 1}', LEFT) is None
            schemas.limit = 0.05
            told = await schemas.misfit('"x"', doubling(60))
            schemas.limit = PATIENT
            return told, await schemas.misfit('{"left": 1}', LEFT)
        finally:
            await schemas.aclose()

    told, after = anyio.run(job)
    assert "was not known within" in told
    assert after is None
