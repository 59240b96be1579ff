"""What workers noticed is in the audit log: each thing once an hour, and nobody's network."""

import json

import pytest
from sqlalchemy import Engine, func, select

from scalix_callbacks.core.policy import Policy, Refused, UsedFrom
from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.ledger.audit import Actor, AuditLog
from scalix_callbacks.ledger.database import reading
from scalix_callbacks.ledger.erasures import Erasures
from scalix_callbacks.ledger.export import Export
from scalix_callbacks.ledger.schema import key_places, watched
from scalix_callbacks.ledger.sightings import MAX_PLACES, NEW_PLACES_PER_HOUR, Sightings
from tests.ledger.conftest import Clock


@pytest.fixture
def sightings(accounts: Accounts, migrated: Engine, clock: Clock) -> Sightings:
    accounts.create_account("ada", "pro")
    accounts.create_account("bob", "pro")
    return Sightings(migrated, now=clock)


def used(number: int, user: str = "ada", key: str = "key_1") -> UsedFrom:
    return UsedFrom(user, key, f"203.0.{number}.0/24")


def noted(engine: Engine, action: str = "") -> list[tuple[str, str | None, dict[str, object]]]:
    """Oldest first, without what the accounts' creation left."""
    entries = reversed(AuditLog(engine).page(limit=1_000)[0])
    return [
        (entry["action"], entry["user_id"], entry["details"])
        for entry in entries
        if entry["action"].startswith(action) and entry["action"] != "account.create"
    ]


def test_a_new_place_is_noted_once(sightings: Sightings, migrated: Engine, clock: Clock) -> None:
    """By the first worker that sees the key there, and not in later hours."""
    for _ in range(2):
        sightings.write({used(1): 1})
    clock.advance(days=30)
    sightings.write({used(1): 1, used(2): 1})
    entries = noted(migrated)

    assert ["key.new_place"] * 2 == [action for action, _, _ in entries]
    assert ["key_1"] * 2 == [details["key_id"] for _, _, details in entries]
    assert 2 == len({details["place"] for _, _, details in entries})
    assert AuditLog(migrated).verify().problem is None


def test_a_place_is_no_network(sightings: Sightings, migrated: Engine) -> None:
    """And differs from account to account, so that nobody's can be told from another's."""
    sightings.write({used(1): 1, used(1, "bob", "key_2"): 1, used(1, key="key_3"): 1})
    places = [details["place"] for _, _, details in noted(migrated)]

    assert "203.0" not in json.dumps(noted(migrated))
    assert places[0] != places[1]
    assert places[0] == places[2]


def test_a_policy_is_noted_once_an_hour(sightings: Sightings, migrated: Engine, clock: Clock) -> None:
    """For each account; other policies and other accounts for themselves."""
    refused = Refused("ada", Policy.MODEL_NOT_IN_TIER)
    sightings.write({refused: 3})
    sightings.write(
        {refused: 3, Refused("ada", Policy.FORBIDDEN_FIELD): 1, Refused("bob", refused.policy): 1}
    )
    clock.advance(hours=1)
    sightings.write({refused: 1})

    assert [
        ("policy.refusal", "ada", {"policy": "MODEL_NOT_IN_TIER"}),
        ("policy.refusal", "ada", {"policy": "FORBIDDEN_FIELD"}),
        ("policy.refusal", "bob", {"policy": "MODEL_NOT_IN_TIER"}),
        ("policy.refusal", "ada", {"policy": "MODEL_NOT_IN_TIER"}),
    ] == noted(migrated)


def test_many_refusals_are_an_anomaly(sightings: Sightings, migrated: Engine) -> None:
    """Of one account in one hour, whichever policies; told once."""
    sightings.write({Refused("ada", Policy.MODEL_NOT_IN_TIER): 60, Refused("bob", Policy.KEY_EXPIRED): 90})
    assert [] == noted(migrated, "anomaly")
    for _ in range(2):
        sightings.write({Refused("ada", Policy.FORBIDDEN_FIELD): 41})

    told = {"rule": "many_refusals", "count": 101, "more_than": 100}
    assert [("anomaly", "ada", told)] == noted(migrated, "anomaly")


def test_a_revoked_key_used_again_is_an_anomaly(sightings: Sightings, migrated: Engine) -> None:
    """The first time."""
    sightings.write({Refused("ada", Policy.KEY_REVOKED): 2})

    told = {"rule": "key_after_revocation", "count": 2, "more_than": 0}
    assert [("anomaly", "ada", told)] == noted(migrated, "anomaly")


def test_a_key_from_many_places_is_an_anomaly(sightings: Sightings, migrated: Engine, clock: Clock) -> None:
    """More than ten networks within an hour; over a week they are a traveller's."""
    for number in range(12):
        sightings.write({used(number, "bob", "key_2"): 1})
        clock.advance(hours=1)
    sightings.write({used(number): 1 for number in range(12)})

    told = {"rule": "many_places", "count": 11, "more_than": 10, "key_id": "key_1"}
    assert [("anomaly", "ada", told)] == noted(migrated, "anomaly")


def test_an_attacker_cannot_flood_the_log(sightings: Sightings, migrated: Engine) -> None:
    """A key used from thousands of networks leaves a bounded number of entries, and of places."""
    many = [UsedFrom("ada", "key_1", f"10.{number // 250}.{number % 250}.0/24") for number in range(300)]
    for start in range(0, 300, 100):
        sightings.write({each: 1 for each in many[start : start + 100]})
    with reading(migrated) as connection:
        places = connection.execute(select(func.count()).select_from(key_places)).scalar_one()

    assert (NEW_PLACES_PER_HOUR, MAX_PLACES) == (len(noted(migrated, "key.new_place")), places)
    assert 1 == len(noted(migrated, "anomaly"))


def test_who_has_no_account_is_not_watched(sightings: Sightings, migrated: Engine) -> None:
    """The operator is, though it has none."""
    sightings.write({Refused("nobody", Policy.FORBIDDEN_FIELD): 1, used(1, "operator", "operator"): 1})

    assert [("key.new_place", "operator")] == [entry[:2] for entry in noted(migrated)]


def test_what_was_dropped_is_said(sightings: Sightings, migrated: Engine) -> None:
    """So that nobody takes the log for complete."""
    sightings.write({}, dropped=7)

    assert [("watch.dropped", None, {"sightings": 7})] == noted(migrated)


def test_an_erased_person_leaves_no_place(sightings: Sightings, migrated: Engine, clock: Clock) -> None:
    """The entries stay, under the pseudonym; what comes in later is nobody's; the log is whole."""
    sightings.write({used(1): 1, Refused("ada", Policy.KEY_REVOKED): 1})
    erasure = Erasures(migrated, now=clock).begin("ada", Actor.USER)
    sightings.write({used(2): 1, Refused("ada", Policy.KEY_REVOKED): 1})
    with reading(migrated) as connection:
        left = [connection.execute(select(table)).all() for table in (key_places, watched)]

    assert [[], []] == left
    assert {erasure.pseudonym} == {whose for action, whose, _ in noted(migrated) if action != "account.erase"}
    assert 3 == len([action for action, _, _ in noted(migrated) if action != "account.erase"])
    assert AuditLog(migrated).verify().problem is None


def test_the_export_shows_what_was_noticed(sightings: Sightings, migrated: Engine, clock: Clock) -> None:
    """Places, counts of the day, and the entries."""
    sightings.write({used(1): 1, Refused("ada", Policy.MODEL_NOT_IN_TIER): 4})
    told = json.loads("".join(Export(migrated, now=clock).pieces("ada")))

    assert ["key_1"] == [place["key_id"] for place in told["key_places"]]
    assert [{"hour_at": "2030-01-31T12:00:00.000Z", "what": "MODEL_NOT_IN_TIER", "count": 4}] == told[
        "watched"
    ]
    assert {"account.create", "key.new_place", "policy.refusal"} == {each["action"] for each in told["audit"]}


def test_places_and_counts_are_forgotten(sightings: Sightings, migrated: Engine, clock: Clock) -> None:
    """Counts after a day, places 90 days after their last use; then they are new again."""
    sightings.write({used(1): 1, Refused("ada", Policy.MODEL_NOT_IN_TIER): 1})
    clock.advance(days=2)
    sightings.forget_old()
    counts = Export(migrated, now=clock).pieces("ada")
    after_two_days = json.loads("".join(counts))
    clock.advance(days=89)
    sightings.forget_old()
    after_all = json.loads("".join(Export(migrated, now=clock).pieces("ada")))

    assert (1, []) == (len(after_two_days["key_places"]), after_two_days["watched"])
    assert [] == after_all["key_places"]
