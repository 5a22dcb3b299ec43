"""JSON Schema (draft 2020-12) of the documents, for editors.

Made from the very field tables that the readers use.  A schema says what stands where; the rules
between keys, columns and documents are the readers' alone.  To publish:

    python -m sandbox.policy.schema dataset > policies/schema/dataset.schema.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Final

from sandbox.policy.dataset_fields import DATASET
from sandbox.policy.fields import Record
from sandbox.policy.grant_fields import GRANT
from sandbox.policy.parts import Schema
from sandbox.policy.product_fields import PRODUCT
from sandbox.policy.source_fields import SOURCE

RECORDS: Final[dict[str, tuple[str, Record]]] = {
    "dataset": ("Dataset document / 数据集文件", DATASET),
    "grant": ("Grant document / 授权文件", GRANT),
    "product": ("Product document / 产品文件", PRODUCT),
    "source": ("Source document / 数据源文件", SOURCE),
}


def schema_of(kind: str) -> Schema:
    """The schema of one kind of document; ``kind`` is a key of ``RECORDS``."""
    title, record = RECORDS[kind]
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:data-sandbox:schema:{kind}",
        "title": title,
    }
    return head | record.schema()


def schema_text(kind: str) -> str:
    """The published file's text."""
    return json.dumps(schema_of(kind), ensure_ascii=False, indent=2) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Print one schema; the exit code is 2 if the kind is not known."""
    if len(arguments) != 1 or arguments[0] not in RECORDS:
        sys.stderr.write(f"one of: {', '.join(RECORDS)}\n")
        return 2
    sys.stdout.write(schema_text(arguments[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
