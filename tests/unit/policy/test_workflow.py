"""The rules of cases: every state x verb and every standing x verb, as the tables say and no other way."""

from __future__ import annotations

import itertools

import pytest

from sandbox.errors import Code, Refusal
from sandbox.model import Person
from sandbox.policy.workflow import persons, states
from sandbox.policy.workflow.persons import Parties
from sandbox.policy.workflow.states import Kind, State, Verb

HOUSE = {Verb.EXPIRE, Verb.REPLACE}
BUREAU = Person("b1", "bureau", "bureau")
OTHER = Person("b2", "bureau", "bureau")
OWNER = Person("o", "owner", "owner-a")
STRANGE_OWNER = Person("o2", "owner", "owner-b")
OPERATOR = Person("p", "operator", "operator-a")
COLLEAGUE = Person("q", "operator", "operator-a")
RIVAL = Person("r", "operator", "operator-b")
ANALYST = Person("a", "analyst", "operator-a")
PARTIES = Parties("p", "operator-a", frozenset({"owner-a"}))


def test_every_word_is_in_the_tables() -> None:
    assert set(states.TABLE) == set(states.FIRST) == set(persons.TABLE) == set(persons.OPENS) == set(Kind)
    assert set(states.STATES) == set(State) and set(states.VERBS) == set(Verb)
    used = {verb for moves in states.TABLE.values() for _, verb in moves}
    assert used == set(Verb) - {Verb.OPEN}


@pytest.mark.parametrize("kind", Kind)
def test_states_and_persons_speak_of_the_same_verbs(kind: Kind) -> None:
    assert {verb for _, verb in states.TABLE[kind]} - HOUSE == set(persons.TABLE[kind])


@pytest.mark.parametrize("kind", Kind)
def test_every_state_is_reached_and_every_end_is_one(kind: Kind) -> None:
    reached = {states.FIRST[kind]}
    for _ in State:
        reached |= {after for (before, _), after in states.TABLE[kind].items() if before in reached}
    assert {state for state, _ in states.TABLE[kind]} <= reached
    ends = {s for s in reached if not any(before is s for before, _ in states.TABLE[kind])}
    assert ends <= {State.WITHDRAWN, State.REVOKED, State.EXPIRED, State.REPLACED, State.CLOSED}


@pytest.mark.parametrize(("kind", "state", "verb"), list(itertools.product(Kind, State, Verb)))
def test_only_what_the_table_holds_may_follow(kind: Kind, state: State, verb: Verb) -> None:
    after = states.TABLE[kind].get((state, verb))
    assert states.can_state(kind, state, verb) == (after is not None)
    if after is not None:
        assert states.check_state(kind, state, verb) is after
        return
    with pytest.raises(Refusal) as caught:
        states.check_state(kind, state, verb)
    (reason,) = caught.value.reasons
    assert reason.code is Code.STATE and states.STATES[state].zh in reason.what("zh")
    assert "此时可以" in reason.now("zh") and "may follow" in reason.now("en")


def test_a_change_under_review_makes_a_draft() -> None:
    for kind in (Kind.DATASET, Kind.GRANT, Kind.PRODUCT):
        for (_, verb), after in states.TABLE[kind].items():
            assert (after is State.DRAFT) == (verb is Verb.REVISE)
        assert (State.IN_FORCE, Verb.REVISE) not in states.TABLE[kind]


def test_open_verbs_leave_out_the_house() -> None:
    assert set(states.open_verbs(Kind.GRANT, State.IN_FORCE)) == {Verb.WITHDRAW, Verb.REVOKE}
    assert states.open_verbs(Kind.GRANT, State.REVOKED) == ()


@pytest.mark.parametrize(
    ("kind", "may"),
    [
        (Kind.DATASET, {"bureau", "owner"}),
        (Kind.GRANT, {"operator"}),
        (Kind.PRODUCT, {"operator"}),
        (Kind.INCIDENT, {"bureau"}),
    ],
)
def test_who_opens(kind: Kind, may: set[str]) -> None:
    for role in ("bureau", "owner", "operator", "analyst", "unknown"):
        person = Person("x", role, "y")
        assert persons.can_open(kind, person) == (role in may)
        if role in may:
            persons.check_opens(kind, person)
        else:
            with pytest.raises(Refusal, match="DS-802"):
                persons.check_opens(kind, person)


WRITES = {OPERATOR, COLLEAGUE}
DECIDES = {BUREAU, OTHER}


@pytest.mark.parametrize(
    ("verb", "may"),
    [
        (Verb.REVISE, WRITES),
        (Verb.SUBMIT, WRITES),
        (Verb.WITHDRAW, WRITES),
        (Verb.ADVISE, {OWNER}),
        (Verb.APPROVE, DECIDES),
        (Verb.REJECT, DECIDES),
        (Verb.REVOKE, DECIDES),
        (Verb.ENACT, set()),
        (Verb.EXPIRE, set()),
        (Verb.REPLACE, set()),
    ],
)
def test_who_does_what_with_a_grant(verb: Verb, may: set[Person]) -> None:
    everyone = {BUREAU, OTHER, OWNER, STRANGE_OWNER, OPERATOR, COLLEAGUE, RIVAL, ANALYST}
    assert {p for p in everyone if persons.can_person(Kind.GRANT, verb, p, PARTIES)} == may


@pytest.mark.parametrize("verb", sorted(persons.REVIEWS & set(persons.TABLE[Kind.DATASET])))
def test_nobody_reviews_their_own(verb: Verb) -> None:
    mine = Parties(BUREAU.name, BUREAU.organisation, frozenset({"owner-a"}))
    with pytest.raises(Refusal, match="DS-310"):
        persons.check_person(Kind.DATASET, verb, BUREAU, mine)
    persons.check_person(Kind.DATASET, verb, OTHER, mine)


def test_no_colleague_of_the_author_reviews_either() -> None:
    owners = Parties("o", "owner-a", frozenset({"owner-a"}))
    colleague = Person("o9", "owner", "owner-a")
    with pytest.raises(Refusal, match="DS-310"):
        persons.check_person(Kind.GRANT, Verb.ADVISE, colleague, owners)


def test_two_people_are_two() -> None:
    once = Parties("p", "operator-a", frozenset(), frozenset({"b1"}), people=2)
    assert not persons.complete(BUREAU, Parties("p", "operator-a", people=2))
    assert persons.complete(OTHER, once) and not persons.complete(BUREAU, once)
    with pytest.raises(Refusal, match="DS-308"):
        persons.check_person(Kind.GRANT, Verb.APPROVE, BUREAU, once)
