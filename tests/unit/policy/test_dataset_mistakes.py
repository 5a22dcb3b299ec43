"""One test a mistake in dataset documents: exact line, key, what was read, what is expected."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from sandbox.catalogue import KeyPath
from sandbox.policy.documents import UnitRule
from sandbox.policy.load import Source, read


class Case(NamedTuple):
    """Replace ``old`` by ``new`` in the examples; one mistake, on the line that then starts with ``line``."""

    old: str
    new: str
    line: str
    key: str
    found: str
    expected: str


CITY = "city:      {type: string, level: 1, use: [group, filter], domain: ["
FEE = "total_fee:   {type: decimal, level: 3, use: [measure, filter], clip: [0, 200000], scale: 0.01}"
AMOUNT = "amount:   {type: decimal, level: 3, use: [measure], clip: [0, 20000], scale: 0.01}"
SETTLED = "settle_date: {type: date,   level: 2, use: [group, filter], range: [2023-01-01, 2025-12-31]}"
GRID = (
    "grid: {cells: [city, industry2, month], units: 10, dominance: 15, round: 10, "
    "outside_totals: [[city], [month]]}"
)
CLAIM = "tables.claim.columns."
PERSON = "tables.person.columns."
ID_NO = (
    "id_no:     {type: string, level: 4, share: none, "
    "why: {reason: 敏感个人信息, basis: 个人信息保护法第二十八条}}"
)
PATH = "unit: {person: [claim_id -> claim.claim_id, claim.person_id]}"


def column(old: str, new: str, key: str, found: str, expected: str) -> Case:
    """A case whose mistake is on the line of the replaced column."""
    return Case(old, new, new.split(":", maxsplit=1)[0] + ":", key, found, expected)


def fee(new: str, key: str, found: str, expected: str) -> Case:
    return column(FEE, f"total_fee:   {{{new}}}", f"{CLAIM}total_fee.{key}", found, expected)


def settled(new: str, key: str, found: str, expected: str) -> Case:
    return column(SETTLED, f"settle_date: {{{new}}}", f"{CLAIM}settle_date.{key}", found, expected)


def grid(old: str, new: str, key: str, found: str, expected: str) -> Case:
    return Case(GRID, GRID.replace(old, new), "grid:", f"tables.usage.grid.{key}", found, expected)


MEASURE = "type: decimal, level: 3, use: [measure]"
DAY = "type: date, level: 2, use: [group]"
MISTAKES = {
    "no title": Case(
        "title: {zh: 医保结算, en: Health-insurance settlements}\n",
        "",
        "kind:",
        "title",
        "nothing",
        "its title in both languages",
    ),
    "title a word": Case(
        "title: {zh: 医保结算, en: Health-insurance settlements}",
        "title: 医保",
        "title:",
        "title",
        "医保",
        "a mapping of zh, en",
    ),
    "title half": Case(
        "title: {zh: 医保结算, en: Health-insurance settlements}",
        "title: {zh: 医保}",
        "title:",
        "title.en",
        "nothing",
        "the English name",
    ),
    "unknown key": Case(
        "owner: 省医疗保障局", "ownr: 甲\nowner: 乙", "ownr:", "ownr", "an unknown key", "did you mean owner"
    ),
    "owner a number": Case(
        "owner: 省医疗保障局",
        "owner: 12",
        "owner:",
        "owner",
        "12",
        "text that is not empty (quote what reads as a number)",
    ),
    "owner empty": Case(
        "owner: 省医疗保障局",
        'owner: ""',
        "owner:",
        "owner",
        '""',
        "text that is not empty (quote what reads as a number)",
    ),
    "owner blank": Case(
        "owner: 省医疗保障局",
        'owner: "  "',
        "owner:",
        "owner",
        "  ",
        "text that is not empty (quote what reads as a number)",
    ),
    "owner a list": Case(
        "owner: 省医疗保障局",
        "owner: [甲]",
        "owner:",
        "owner",
        "a list",
        "text that is not empty (quote what reads as a number)",
    ),
    "owner on two lines": Case(
        "owner: 省医疗保障局",
        'owner: "a\\nb"',
        "owner:",
        "owner",
        "a b",
        "text that is not empty (quote what reads as a number)",
    ),
    "owner too long": Case(
        "owner: 省医疗保障局",
        "owner: " + "x" * 501,
        "owner:",
        "owner",
        "x" * 59 + "…",
        "text that is not empty (quote what reads as a number)",
    ),
    "class": Case(
        "class: 卫生健康/医疗保障",
        "class: 卫生健康//医疗保障",
        "class:",
        "class",
        "卫生健康//医疗保障",
        "a path with / between its parts",
    ),
    "level above": Case(
        "level: 4\nshare", "level: 5\nshare", "level:", "level", "5", "1 – 4: core data may not enter"
    ),
    "level core": Case(
        "level: 4\nshare", "level: 核心\nshare", "level:", "level", "核心", "1 – 4: core data may not enter"
    ),
    "level zero": Case("level: 4\nshare", "level: 0\nshare", "level:", "level", "0", "a whole number, 1 – 4"),
    "level half": Case(
        "level: 4\nshare", "level: 2.5\nshare", "level:", "level", "2.5", "a whole number, 1 – 4"
    ),
    "level below a column": Case(
        "level: 4\nshare", "level: 3\nshare", "level:", "level", "3", "4: the highest of its columns"
    ),
    "level huge": Case(
        "level: 4\nshare",
        "level: 1e999999999\nshare",
        "level:",
        "level",
        "1e999999999",
        "a whole number, 1 – 4",
    ),
    "core": Case(
        "level: 4\nshare",
        "level: 4\ncore: true\nshare",
        "core:",
        "core",
        "true",
        "false: core data may not enter",
    ),
    "core a word": Case(
        "level: 4\nshare", "level: 4\ncore: yes\nshare", "core:", "core", "yes", "true or false"
    ),
    "core column": column(
        "drug:     {type: string, ",
        "drug:     {core: true, type: string, ",
        "tables.claim_item.columns.drug.core",
        "true",
        "false: core data may not enter",
    ),
    "share": Case(
        "share: conditional\nwhy: {reason: 含",
        "share: condition\nwhy: {reason: 含",
        "share:",
        "share",
        "condition",
        "did you mean conditional",
    ),
    "no why": Case(
        "why: {reason: 含敏感个人信息, basis: 个人信息保护法第二十八条}\n",
        "",
        "kind:",
        "why",
        "nothing",
        "why: {reason, basis}",
    ),
    "why half": Case(
        "why: {reason: 含敏感个人信息, basis: 个人信息保护法第二十八条}",
        "why: {reason: 含}",
        "why:",
        "why.basis",
        "nothing",
        "the legal basis",
    ),
    "no why on a column": column(
        ID_NO,
        "id_no:     {type: string, level: 4, share: none}",
        f"{PERSON}id_no.why",
        "nothing",
        "why: {reason, basis}",
    ),
    "snapshot": Case(
        "snapshot: monthly\ntables:\n  person",
        "snapshot: often\ntables:\n  person",
        "snapshot:",
        "snapshot",
        "often",
        "one of: once, daily, weekly, monthly, quarterly, yearly",
    ),
    "budget above the floor": Case(
        "snapshot: monthly\ntables:\n  person",
        "snapshot: monthly\nbudget: {epsilon: 21, delta: 0}\ntables:\n  person",
        "budget:",
        "budget.epsilon",
        "21",
        "a number above 0 and of at most 20",
    ),
    "budget delta": Case(
        "snapshot: monthly\ntables:\n  person",
        "snapshot: monthly\nbudget: {epsilon: 2, delta: 0.001}\ntables:\n  person",
        "budget:",
        "budget.delta",
        "0.001",
        "a number of at least 0 and of at most 0.00001",
    ),
    "budget infinite": Case(
        "snapshot: monthly\ntables:\n  person",
        "snapshot: monthly\nbudget: {epsilon: .inf, delta: 0}\ntables:\n  person",
        "budget:",
        "budget.epsilon",
        ".inf",
        "a number above 0 and of at most 20",
    ),
    "budget a number": Case(
        "snapshot: monthly\ntables:\n  person",
        "snapshot: monthly\nbudget: 5\ntables:\n  person",
        "budget:",
        "budget",
        "5",
        "a mapping of epsilon, delta",
    ),
    "important": Case(
        "important: true", "important: maybe", "important:", "important", "maybe", "true or false"
    ),
    "table name": Case(
        "  claim_item:\n",
        "  claim-item:\n",
        "claim-item:",
        "tables.claim-item",
        "claim-item",
        "a name of letters, digits and _, a letter first",
    ),
    "table name reserved": Case(
        "  claim_item:\n",
        "  _u:\n",
        "_u:",
        "tables._u",
        "_u",
        "a name of letters, digits and _, a letter first",
    ),
    "table not a mapping": Case(
        "tables:\n  person:",
        "tables:\n  extra: no\n  person:",
        "extra:",
        "tables.extra",
        "no",
        "a mapping of public, unit, per_unit, rows, unique, grid, expect, columns",
    ),
    "two tables by case": Case(
        "  hospital:\n    public",
        "  Claim: {public: true, columns: {a: {type: date}}}\n  hospital:\n    public",
        "Claim:",
        "tables.Claim",
        "Claim",
        "names that differ by more than case",
    ),
    "neither public nor unit": Case(
        "  claim_item:\n    " + PATH + "\n",
        "  claim_item:\n",
        "columns:",
        "tables.claim_item.unit",
        "nothing",
        "a unit, or public: true",
    ),
    "public with a unit": Case(
        "    public: true\n",
        "    public: true\n    unit: {x: grade}\n",
        "unit: {x",
        "tables.hospital.unit",
        "unit in a public table",
        "a protected table",
    ),
    "public with rows": Case(
        "    public: true\n",
        "    public: true\n    rows: 1\n",
        "rows: 1",
        "tables.hospital.rows",
        "rows in a public table",
        "a protected table",
    ),
    "unique together in a protected table": Case(
        "rows: 60",
        "rows: 60\n    unique: [[person_id, settle_date]]",
        "unique:",
        "tables.claim.unique",
        "unique in a protected table",
        "a public table",
    ),
    "unique together, column unknown": Case(
        "    public: true\n",
        "    public: true\n    unique: [[hospital_id, grad]]\n",
        "unique:",
        "tables.hospital.unique",
        "grad",
        "did you mean grade",
    ),
    "unique together, one column": Case(
        "    public: true\n",
        "    public: true\n    unique: [[grade]]\n",
        "unique:",
        "tables.hospital.unique[1]",
        "a list",
        "a list of 2 – 20 items",
    ),
    "rows": Case("rows: 60", "rows: 0", "rows:", "tables.claim.rows", "0", "a whole number, 1 – 1000000000"),
    "unit column unknown": Case(
        "unit: {enterprise: uscc}",
        "unit: {enterprise: usc}",
        "unit: {enter",
        "tables.usage.unit.enterprise",
        "usc",
        "did you mean uscc",
    ),
    "unit empty": Case(
        "unit: {enterprise: uscc}",
        "unit: {}",
        "unit: {}",
        "tables.usage.unit",
        "a mapping",
        "a mapping of kinds of privacy unit",
    ),
    "unit a number": Case(
        "unit: {enterprise: uscc}",
        "unit: {enterprise: 7}",
        "unit: {enter",
        "tables.usage.unit.enterprise",
        "7",
        "a name of letters, digits and _, a letter first",
    ),
    "unit kind": Case(
        "unit: {enterprise: uscc}",
        "unit: {an enterprise: uscc}",
        "unit: {an",
        "tables.usage.unit.an enterprise",
        "an enterprise",
        "kinds of privacy unit",
    ),
    "unit grouped": column(
        "uscc:      {type: string, level: 3, use: [join, count]}",
        "uscc:      {type: string, level: 3, use: [join, group]}",
        "tables.usage.columns.uscc.use",
        "group on the unit's column",
        "join or count",
    ),
    "unit filtered": column(
        "uscc:      {type: string, level: 3, use: [join, count]}",
        "uscc:      {type: string, level: 3, use: [filter]}",
        "tables.usage.columns.uscc.use",
        "filter on the unit's column",
        "join or count",
    ),
    "unit measured": column(
        "uscc:      {type: string, level: 3, use: [join, count]}",
        "uscc:      {type: integer, level: 3, use: [measure]}",
        "tables.usage.columns.uscc.use",
        "measure on the unit's column",
        "join or count",
    ),
    "unit nullable": column(
        "uscc:      {type: string, ",
        "uscc:      {nullable: true, type: string, ",
        "tables.usage.columns.uscc.nullable",
        "true on the unit's column",
        "false",
    ),
    "unit in per_unit": Case(
        "per_unit: [city, industry2]",
        "per_unit: [uscc]",
        "per_unit:",
        "tables.usage.per_unit",
        "uscc",
        "columns other than the unit",
    ),
    "per_unit unknown": Case(
        "per_unit: [city, industry2]",
        "per_unit: [cty]",
        "per_unit:",
        "tables.usage.per_unit",
        "cty",
        "did you mean city",
    ),
    "per_unit twice": Case(
        "per_unit: [city, industry2]",
        "per_unit: [city, city]",
        "per_unit:",
        "tables.usage.per_unit[2]",
        "city",
        "each item once",
    ),
    "per_unit a word": Case(
        "per_unit: [city, industry2]",
        "per_unit: city",
        "per_unit:",
        "tables.usage.per_unit",
        "city",
        "a list of 0 – 1000 items",
    ),
    "path too short": Case(
        PATH,
        "unit: {person: [claim.person_id]}",
        "unit: {person: [claim.",
        "tables.claim_item.unit.person",
        "a list",
        "a list of 2 – 6 items",
    ),
    "path without arrow": Case(
        PATH,
        "unit: {person: [claim_id, claim.person_id]}",
        "unit: {person: [claim_id",
        "tables.claim_item.unit.person[1]",
        "claim_id",
        "column -> table.key",
    ),
    "path from elsewhere": Case(
        PATH,
        "unit: {person: [hospital.claim_id -> claim.claim_id, claim.person_id]}",
        "unit: {person: [hosp",
        "tables.claim_item.unit.person[1]",
        "hospital.claim_id -> claim.claim_id",
        "column -> table.key",
    ),
    "path ends elsewhere": Case(
        PATH,
        "unit: {person: [claim_id -> claim.claim_id, person.person_id]}",
        "unit: {person: [claim_id",
        "tables.claim_item.unit.person[2]",
        "person.person_id",
        "claim.column",
    ),
    "path without end": Case(
        PATH,
        "unit: {person: [claim_id -> claim.claim_id, claim_id -> person.person_id]}",
        "unit: {person: [claim_id",
        "tables.claim_item.unit.person[2]",
        "claim_id -> person.person_id",
        "claim.column",
    ),
    "path step unreadable": Case(
        PATH,
        "unit: {person: [claim_id => claim.claim_id, claim.person_id]}",
        "unit: {person: [claim_id",
        "tables.claim_item.unit.person[1]",
        "claim_id => claim.claim_id",
        "`column -> table.key`, or `table.column` at the end",
    ),
    "path column unknown": Case(
        PATH,
        "unit: {person: [claim_idd -> claim.claim_id, claim.person_id]}",
        "unit: {person: [claim_idd",
        "tables.claim_item.unit.person",
        "claim_idd",
        "did you mean claim_id",
    ),
    "path table unknown": Case(
        PATH,
        "unit: {person: [claim_id -> claims.claim_id, claims.person_id]}",
        "unit: {person: [claim_id",
        "tables.claim_item.unit.person",
        "table claims",
        "did you mean claim",
    ),
    "path key unknown": Case(
        PATH,
        "unit: {person: [claim_id -> claim.clam_id, claim.person_id]}",
        "unit: {person: [claim_id",
        "tables.claim_item.unit.person",
        "clam_id",
        "did you mean claim_id",
    ),
    "path to another unit": Case(
        PATH,
        "unit: {household: [claim_id -> claim.claim_id, claim.person_id]}",
        "unit: {household",
        "tables.claim_item.unit.household",
        "claim.person_id",
        "the unit that claim itself declares as household",
    ),
    "path to another column": Case(
        PATH,
        "unit: {person: [claim_id -> claim.claim_id, claim.hospital_id]}",
        "unit: {person: [claim_id",
        "tables.claim_item.unit.person",
        "claim.hospital_id",
        "the unit that claim itself declares as person",
    ),
    "path to a public table": Case(
        PATH,
        "unit: {person: [claim_id -> hospital.hospital_id, hospital.grade]}",
        "unit: {person: [claim_id",
        "tables.claim_item.unit.person",
        "hospital.grade",
        "the unit that hospital itself declares as person",
    ),
    "path longer than declared": Case(
        PATH,
        PATH.replace(".person_id]", ".person_id -> person.person_id, person.person_id]"),
        "unit: {person: [claim_id",
        "tables.claim_item.unit.person",
        "claim -> …",
        "the unit that claim itself declares as person",
    ),
    "path of two types": Case(
        "      claim_id: {type: string, level: 4, use: [join]}\n      drug",
        "      claim_id: {type: integer, level: 4, use: [join]}\n      drug",
        PATH,
        "tables.claim_item.unit.person",
        "integer -> string",
        "columns of one type",
    ),
    "no columns": Case(
        "columns:\n      hospital_id: {type: string, use: [group, filter, join]}\n"
        "      grade:       {type: string, use: [group, filter]}",
        "columns: {}",
        "columns: {}",
        "tables.hospital.columns",
        "a mapping",
        "a mapping of a name of letters, digits and _, a letter first",
    ),
    "grid units below the floor": grid("units: 10", "units: 4", "units", "4", "a whole number, 5 – 1000000"),
    "grid dominance below the floor": grid(
        "dominance: 15", "dominance: 4", "dominance", "4", "a number of at least 5 and of at most 100"
    ),
    "grid without dominance": grid(
        "dominance: 15, ", "", "dominance", "nothing", "p of the p%-rule, in percent"
    ),
    "grid round": grid("round: 10", "round: 0", "round", "0", "a whole number, 1 – 1000000000"),
    "grid cell unknown": grid(
        "cells: [city, ",
        "cells: [town, city, ",
        "cells",
        "town",
        "one of: meter_id, uscc, city, industry2, month, kwh",
    ),
    "grid cell the unit": grid(
        "cells: [city, ", "cells: [uscc, city, ", "cells", "uscc", "neither the unit nor a measure"
    ),
    "grid cell a measure": grid(
        "cells: [city, ", "cells: [kwh, city, ", "cells", "kwh", "neither the unit nor a measure"
    ),
    "grid margin off the grid": grid("[month]]", "[kwh]]", "outside_totals", "kwh", "columns of the grid"),
    "column not a mapping": column(
        "meter_id:  {type: string, level: 3, use: []}",
        "meter_id:  string",
        "tables.usage.columns.meter_id",
        "string",
        "a mapping of type, level, use, nullable, unique, domain, range, clip, scale, step, share, why, core",
    ),
    "type": column(
        "drug:     {type: string",
        "drug:     {type: text",
        "tables.claim_item.columns.drug.type",
        "text",
        "one of: boolean, integer, decimal, double, string, date, timestamp",
    ),
    "no level": column(
        "drug:     {type: string, level: 3, ",
        "drug:     {type: string, ",
        "tables.claim_item.columns.drug.level",
        "nothing",
        "a grade, 1 – 4",
    ),
    "use": column(
        "drug:     {type: string, level: 3, use: [group, filter]}",
        "drug:     {type: string, level: 3, use: [groups]}",
        "tables.claim_item.columns.drug.use[1]",
        "groups",
        "did you mean group",
    ),
    "measure on text": column(
        "drug:     {type: string, level: 3, use: [group, filter]}",
        "drug:     {type: string, level: 3, use: [measure]}",
        "tables.claim_item.columns.drug.use",
        "measure on a string",
        "measure on numbers only",
    ),
    "unique in a protected table": column(
        "drug:     {type",
        "drug:     {unique: true, type",
        "tables.claim_item.columns.drug.unique",
        "true in a protected table",
        "a public table",
    ),
    "domain typed": column(
        CITY, CITY + "1, ", f"{PERSON}city.domain[1]", "1", "text (quote what reads as a number)"
    ),
    "domain twice": column(CITY, CITY + "太原, ", f"{PERSON}city.domain[2]", "太原", "each value once"),
    "domain with null": column(
        CITY, CITY + "null, ", f"{PERSON}city.domain", "a list", "a list of 1 – 10000 values"
    ),
    "domain with a list": column(
        CITY, CITY + "[a], ", f"{PERSON}city.domain", "a list", "a list of 1 – 10000 values"
    ),
    "domain too large": column(
        CITY,
        CITY + "".join(f"c{i}, " for i in range(10_000)),
        f"{PERSON}city.domain",
        "a list",
        "a list of 1 – 10000 values",
    ),
    "domain of long numbers": fee(
        f"{MEASURE}, domain: [0.5, 0.1234567890123456789]",
        "domain[2]",
        "0.1234567890123456789",
        "a number of at most 15 digits",
    ),
    "domain of words for numbers": fee(
        "type: double, level: 3, domain: [a]", "domain[1]", "a", "a number of at most 15 digits"
    ),
    "domain of large integers": fee(
        "type: integer, level: 3, domain: [9223372036854775808]",
        "domain[1]",
        "9223372036854775808",
        "a 64-bit whole number",
    ),
    "domain of half integers": fee(
        "type: integer, level: 3, domain: [0.5]", "domain[1]", "0.5", "a 64-bit whole number"
    ),
    "domain of flags": fee("type: boolean, level: 3, domain: [true, no]", "domain[2]", "no", "true or false"),
    "domain of days": settled(
        f"{DAY}, domain: [2023-02-29]", "domain[1]", "2023-02-29", "a day as YYYY-MM-DD"
    ),
    "domain of moments": settled(
        "type: timestamp, level: 2, domain: [2023-02-28T25:00:00]",
        "domain[1]",
        "2023-02-28T25:00:00",
        "a moment as YYYY-MM-DDTHH:MM:SS",
    ),
    "domain of days for moments": settled(
        "type: timestamp, level: 2, domain: [2023-02-28]",
        "domain[1]",
        "2023-02-28",
        "a moment as YYYY-MM-DDTHH:MM:SS",
    ),
    "domain outside the range": fee(
        f"{MEASURE}, range: [0, 1], domain: [0.5, 2]", "domain[2]", "2", "a value inside `range`"
    ),
    "day outside the range": settled(
        f"{DAY}, range: [2023-01-01, 2023-01-31], domain: [2023-01-31, 2023-02-01]",
        "domain[2]",
        "2023-02-01",
        "a value inside `range`",
    ),
    "range of words": fee(f"{MEASURE}, range: [a, 1]", "range[1]", "a", "a number"),
    "range on text": column(
        "drug:     {type: string",
        "drug:     {range: [1, 2], type: string",
        "tables.claim_item.columns.drug.range",
        "range on a string",
        "range on numbers, days and moments",
    ),
    "range turned round": settled(
        f"{DAY}, range: [2025-12-31, 2023-01-01]",
        "range",
        "[2025-12-31, 2023-01-01]",
        "the low bound first, below the high one",
    ),
    "range of no days": settled(
        f"{DAY}, range: [2023-01-01, 2023-13-01]", "range[2]", "2023-13-01", "a day as YYYY-MM-DD"
    ),
    "range of three": settled(
        f"{DAY}, range: [2023-01-01, 2024-01-01, 2025-01-01]", "range", "a list", "a list of 2 values"
    ),
    "clip on a day": settled(
        f"{DAY}, clip: [2023-01-01, 2024-01-01]", "clip", "clip on a date", "clip on numbers"
    ),
    "clip of a point": fee(
        f"{MEASURE}, clip: [5, 5]", "clip", "[5, 5]", "the low bound first, below the high one"
    ),
    "scale zero": fee(f"{MEASURE}, scale: 0", "scale", "0", "a number above 0"),
    "scale that does not divide": fee(
        f"{MEASURE}, scale: 0.03", "scale", "0.03", "a whole number, or one over a whole number"
    ),
    "scale finer than integers": fee(
        "type: integer, level: 3, scale: 0.1", "scale", "0.1", "a whole number: the column is an integer"
    ),
    "scale beside clip": fee(
        f"{MEASURE}, clip: [0, 15], scale: 10", "scale", "10", "a scale that divides both bounds of `clip`"
    ),
    "scale past 64 bits": fee(
        f"{MEASURE}, clip: [0, 1.0e+18], scale: 0.01",
        "scale",
        "0.01",
        "a coarser scale: clip / scale must fit 64 bits",
    ),
    "scale on text": column(
        "drug:     {type: string",
        "drug:     {scale: 1, type: string",
        "tables.claim_item.columns.drug.scale",
        "scale on a string",
        "scale on numbers",
    ),
    "step without group": settled(
        "type: date, level: 2, use: [filter], step: month",
        "step",
        "a step without use: [group]",
        "a step on a column with use group",
    ),
    "step unknown": settled(f"{DAY}, step: months", "step", "months", "did you mean month"),
    "step of an hour on a day": settled(
        f"{DAY}, step: hour", "step", "hour on a date", "hour on a timestamp"
    ),
    "step of a month on a number": fee(
        "type: integer, level: 3, use: [group], step: month",
        "step",
        "month on a integer",
        "month on a day or a moment",
    ),
    "step as a width on a day": settled(f"{DAY}, step: 5", "step", "a width on a date", "a width on numbers"),
    "step below zero": fee(
        "type: integer, level: 3, use: [group], step: -5", "step", "-5", "a number above 0"
    ),
}


@pytest.mark.parametrize("case", MISTAKES.values(), ids=MISTAKES.keys())
def test_one_mistake(examples: str, case: Case) -> None:
    datasets = "---\n".join(part for part in examples.split("---\n") if "kind: dataset" in part)
    assert datasets.count(case.old) >= 1
    text = datasets.replace(case.old, case.new, 1)
    checked = read([Source("data.yaml", text)])
    (mistake,) = checked.mistakes
    assert (mistake.key, mistake.found, mistake.expected.en) == (case.key, case.found, case.expected)
    assert mistake.expected.zh
    assert mistake.file == "data.yaml"
    assert text.splitlines()[mistake.line - 1].strip().removeprefix("- ").startswith(case.line)
    assert len(checked.documents.datasets) == 1


SOUND = {
    "widths": (
        FEE,
        "total_fee: {type: integer, level: 3, use: [group, measure], step: 5, clip: [0, 100], scale: 5}",
    ),
    "hours": (
        SETTLED,
        "settle_date: {type: timestamp, level: 2, use: [group], step: hour, range: [2023-01-01, 2024-01-01]}",
    ),
    "quarters": (SETTLED, "settle_date: {type: date, level: 2, use: [group], step: quarter}"),
    "core: false": ("level: 4\nshare", "level: 4\ncore: false\nshare"),
    "nullable": (FEE, "total_fee: {type: double, level: 3, nullable: true, use: [measure]}"),
    "no use": (AMOUNT, "amount: {type: double, level: 3}"),
    "scale without clip": (AMOUNT, "amount: {type: double, level: 3, scale: 0.05}"),
    "domain of flags": (AMOUNT, "amount: {type: boolean, level: 3, domain: [true, false]}"),
    "domain of numbers": (AMOUNT, "amount: {type: decimal, level: 3, range: [0, 1], domain: [0.1, 1]}"),
    "domain of doubles": (AMOUNT, "amount: {type: double, level: 3, domain: [0.1, 1]}"),
    "domain of integers": (
        AMOUNT,
        "amount: {type: integer, level: 3, domain: [-1, 0x1, 1]}".replace("0x1", "0"),
    ),
    "domain of moments": (AMOUNT, "amount: {type: timestamp, level: 3, domain: [2023-02-28T05:00:00]}"),
    "domain of days": (
        AMOUNT,
        "amount: {type: date, level: 3, range: [2023-01-01, 2023-12-31], domain: [2023-12-31]}",
    ),
}


@pytest.mark.parametrize(("old", "new"), SOUND.values(), ids=SOUND.keys())
def test_sound_forms(examples: str, old: str, new: str) -> None:
    assert old in examples
    assert read([Source("data.yaml", examples.replace(old, new, 1))]).mistakes == ()


CHAIN = """\
kind: dataset
id: shop
title: {zh: 商店, en: Shop}
owner: 商店
class: 商业
level: 3
share: unconditional
snapshot: once
tables:
  customer:
    unit: {customer: id}
    columns: {id: {type: integer, level: 3, use: [join]}}
  orders:
    unit: {customer: [customer_id -> customer.id, customer.id]}
    columns: {id: {type: integer, level: 3}, customer_id: {type: integer, level: 3}}
  line:
    unit: {customer: [order_id -> orders.id, orders.customer_id -> customer.id, customer.id]}
    columns: {order_id: {type: integer, level: 3, use: [join]}, n: {type: integer, level: 1, use: [measure]}}
"""


def test_a_path_over_several_tables() -> None:
    line = read([Source("a", CHAIN)]).documents.datasets[0].tables[2]
    steps = (KeyPath("order_id", "orders", "id"), KeyPath("customer_id", "customer", "id"))
    assert line.units == (UnitRule("customer", "id", steps),)


@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        ("order_id: {type: integer", "order_id: {type: int", ["tables.line.columns.order_id.type"]),
        ("{id: {type: integer, level: 3, use: [join]}}", "{id: x}", ["tables.customer.columns.id"]),
        ("{id: {type: integer, level: 3, use: [join]}}", "{}", ["tables.customer.columns"]),
        ("unit: {customer: id}", "unit: {customer: 7}", ["tables.customer.unit.customer"]),
        ("unit: {customer: id}", "unit: customer", ["tables.customer.unit"]),
        ("unit: {customer: id}", "grid: 7\n    unit: {customer: id}", ["tables.customer.grid"]),
        (
            "    unit: {customer: id}",
            "    grid: {cells: 1, units: 5, dominance: 5}\n    unit: {customer: id}",
            ["tables.customer.grid.cells"],
        ),
        ("tables:", "tables: {}\nextra:", ["tables", "extra"]),
    ],
)
def test_one_mistake_does_not_bring_others(old: str, new: str, keys: list[str]) -> None:
    assert old in CHAIN
    assert [m.key for m in read([Source("a", CHAIN.replace(old, new, 1))]).mistakes] == keys


def test_a_dataset_has_one_grid() -> None:
    grid = "    grid: {cells: [n], units: 5, dominance: 5}\n"
    text = CHAIN.replace("use: [measure]", "use: [group]").replace(
        "    unit: {customer: [", grid + "    unit: {customer: ["
    )
    text = text.replace(
        "customer_id: {type: integer, level: 3}",
        "n: {type: integer, level: 3}, customer_id: {type: integer, level: 3}",
    )
    (mistake,) = read([Source("a", text)]).mistakes
    assert (mistake.key, mistake.found) == ("tables.line.grid", "a second grid beside orders's")
