"""Rollouts as both databases keep them: each step once, in the log, and seen by its change number."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Engine, text

from scalix_callbacks.core.rollout import Flag, Group, Own, Pace, Stage
from scalix_callbacks.core.tiers import DAY_S
from scalix_callbacks.ledger import rollouts as module
from scalix_callbacks.ledger import upgrade
from scalix_callbacks.ledger.account_rules import AccountNotFound
from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.ledger.audit import Actor, AuditLog
from scalix_callbacks.ledger.engine import migrating
from scalix_callbacks.ledger.erasures import Erasures
from scalix_callbacks.ledger.export import Export
from scalix_callbacks.ledger.rollouts import FlagNotFound, RolloutRefused, Rollouts

FLAGS = (Flag("liteLLM"), Flag("rateLimiting", 50, 0))
REASON = {"trigger": "error_rate", "minutes": 5, "calls": 100, "errors": 50, "error_percent": 50.0}


@pytest.fixture
def rollouts(migrated: Engine, clock: Any) -> Rollouts:
    made = Rollouts(migrated, FLAGS, now=clock)
    made.begin()
    return made


@pytest.fixture
def log(migrated: Engine) -> Callable[[], list[tuple[str, str]]]:
    """Who did what, the oldest first."""
    audit = AuditLog(migrated)
    return lambda: [(each["actor"], each["action"]) for each in reversed(audit.page(None, 100)[0])]


def test_flags_begin_once(migrated: Engine, clock: Any, log: Any) -> None:
    """However many workers start, and with what is configured then."""
    for percent in (10, 90):
        Rollouts(migrated, [replace(FLAGS[0], percent=percent)], now=clock).begin()
        clock.advance(days=1)
    kept = Rollouts(migrated, FLAGS[:1], now=clock).read()

    assert ["liteLLM"] == list(kept.rollouts)
    assert 30 == kept.rollouts["liteLLM"].percent_at(clock().timestamp())
    assert [("system", "rollout.begin")] == log()


def test_what_is_kept_is_what_was_set(rollouts: Rollouts, clock: Any) -> None:
    """Every field comes back, from either database."""
    clock.advance(days=3)
    groups = {Group.PRO: Pace(25, 1), Group.FREE: Pace(at_once=True)}
    told = rollouts.set("liteLLM", percent=33, daily_percent=3, groups=groups)
    paused = rollouts.pause("liteLLM")
    clock.advance(days=2)
    resumed = rollouts.resume("liteLLM")

    assert (33, 3, 3.0 * DAY_S) == (told.percent, told.daily_percent, told.base_s)
    assert Pace(25, 1) == told.paces[Group.PRO]
    assert (Stage.PAUSED, 2.0 * DAY_S) == (paused.stage, resumed.held_s)
    assert resumed == rollouts.read().rollouts["liteLLM"] == rollouts.get("liteLLM")


def test_every_step_is_in_the_log(rollouts: Rollouts, accounts: Accounts, migrated: Engine) -> None:
    """Once, with who did it and what became of it; what changes nothing is not."""
    accounts.create_account("ada", "free")
    desk = Rollouts(migrated, FLAGS, now=lambda: rollouts._now(), actor=Actor.CLI)
    for _ in range(2):
        desk.set("liteLLM", percent=40)
        desk.kill("liteLLM")
        desk.resume("liteLLM")
    for _ in range(2):
        desk.migrate("liteLLM", "ada")
    desk.roll_back_user("liteLLM", "ada")
    desk.release("liteLLM", "ada")
    desk.release("liteLLM", "ada")
    entries, _ = AuditLog(migrated).page(None, 100)
    entries = [each for each in reversed(entries) if each["action"].startswith("rollout.")][2:]

    assert [
        *["set", "kill", "resume", "set", "kill", "resume"],
        *["user_migrate", "user_rollback", "user_release"],
    ] == [each["action"].removeprefix("rollout.") for each in entries]
    assert {"cli"} == {each["actor"] for each in entries}
    assert {"flag": "liteLLM", "old": 10, "new": 40} == {
        "flag": entries[0]["details"]["flag"],
        **{which: entries[0]["details"][which]["percent"] for which in ("old", "new")},
    }
    assert ("ada", {"flag": "liteLLM"}) == (entries[-1]["user_id"], entries[-1]["details"])
    assert AuditLog(migrated).verify().problem is None


def test_a_change_is_seen_by_its_number(rollouts: Rollouts, accounts: Accounts) -> None:
    """Which other changes leave alone."""
    before = rollouts.change_no()
    accounts.create_account("ada", "free")
    assert before == rollouts.change_no()
    rollouts.kill("liteLLM")
    rollouts.migrate("rateLimiting", "ada")
    kept = rollouts.read()

    assert before + 2 == kept.change_no == rollouts.change_no()
    assert Stage.KILLED is kept.rollouts["liteLLM"].stage
    assert {("rateLimiting", "ada"): Own.MIGRATED} == kept.users


def test_a_rollback_happens_once(rollouts: Rollouts, log: Any) -> None:
    """Whoever of the workers says it, and never to what began anew."""
    assert [True, False] == [rollouts.roll_back("liteLLM", 1, REASON) for _ in range(2)]
    assert REASON == rollouts.read().rollouts["liteLLM"].reason
    anew = rollouts.resume("liteLLM")

    assert (2, None, 10) == (anew.epoch, anew.reason, anew.percent)
    assert not rollouts.roll_back("liteLLM", 1, REASON)
    assert [("system", "rollout.rollback"), ("operator", "rollout.resume")] == log()[-2:]


def test_growth_is_noted_once(rollouts: Rollouts, clock: Any, migrated: Engine) -> None:
    """Each day's step, by whichever worker comes first."""
    for days in (0, 1, 0.5, 0.5):
        clock.advance(days=days)
        rollouts.note_growth()
        rollouts.note_growth()
    entries, _ = AuditLog(migrated).page(None, 100)

    assert [
        {"flag": "liteLLM", "old": 20, "new": 30},
        {"flag": "liteLLM", "old": 10, "new": 20},
    ] == [each["details"] for each in entries if each["action"] == "rollout.grow"]


def test_two_workers_note_a_step_once(
    rollouts: Rollouts, clock: Any, migrated: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the one comes between what the other reads and writes."""
    real = module.writing

    def meanwhile(engine: Engine) -> Any:
        monkeypatch.setattr(module, "writing", real)
        rollouts.note_growth()
        return real(engine)

    clock.advance(days=1)
    monkeypatch.setattr(module, "writing", meanwhile)
    rollouts.note_growth()
    entries, _ = AuditLog(migrated).page(None, 100)

    assert 1 == [each["action"] for each in entries].count("rollout.grow")


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (lambda r: r.pause("liteLLM"), "The flag liteLLM is killed: there is nothing to pause."),
        (lambda r: r.set("liteLLM", percent=1), "The flag liteLLM is killed: resume it first."),
        (lambda r: r.kill("no"), "There is no flag 'no': name one of liteLLM, rateLimiting."),
        (lambda r: r.migrate("liteLLM", "nobody"), "There is no account nobody: check the spelling"),
        (lambda r: r.user("no", "ada"), "There is no flag 'no'"),
        (lambda r: r.migrate("liteLLM", "\0"), "account"),
    ],
)
def test_what_cannot_be_is_said(rollouts: Rollouts, step: Callable[[Rollouts], Any], told: str) -> None:
    """In one sentence; nothing is changed."""
    rollouts.kill("liteLLM")
    before = rollouts.change_no()

    with pytest.raises(ValueError, match=told):
        step(rollouts)
    assert before == rollouts.change_no()


def test_unknown_flags_and_users_are_told_apart() -> None:
    """From what is merely not possible now."""
    assert issubclass(FlagNotFound, AccountNotFound)
    assert not issubclass(RolloutRefused, AccountNotFound)


def test_users_decided_for_are_bounded(
    rollouts: Rollouts, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every worker remembers all of them."""
    monkeypatch.setattr(module, "MAX_USERS", 1)
    for name in ("ada", "bob"):
        accounts.create_account(name, "free")
    rollouts.migrate("liteLLM", "ada")
    rollouts.roll_back_user("liteLLM", "ada")

    with pytest.raises(RolloutRefused, match="release some, or raise the percentage"):
        rollouts.migrate("liteLLM", "bob")


def test_what_was_decided_goes_with_the_user(
    rollouts: Rollouts, accounts: Accounts, migrated: Engine, clock: Any
) -> None:
    """It is in the export, and gone after the erasure, for workers to see."""
    accounts.create_account("ada", "free")
    rollouts.migrate("liteLLM", "ada")
    exported = "".join(Export(migrated, now=clock).pieces("ada"))
    before = rollouts.change_no()
    Erasures(migrated, now=clock).begin("ada", Actor.OPERATOR)

    assert '"rollouts": [{"flag": "liteLLM", "own": "migrated", "at": ' in exported
    assert ({}, before + 1) == (rollouts.read().users, rollouts.change_no())


def test_a_database_of_before_gets_rollouts(engine: Engine, clock: Any) -> None:
    """What is there stays, and flags begin with the first start."""
    with migrating(engine) as connection:
        config = upgrade._config(upgrade._MIGRATIONS)
        config.attributes |= {"connection": connection, "version_table": upgrade.VERSION_TABLE}
        command.upgrade(config, "0008")
        at = "2030-01-31 00:00:00.000000" + ("" if engine.dialect.name == "sqlite" else "+00")
        connection.execute(
            text("INSERT INTO accounts (id, tier, created_at, change_no) VALUES ('ada', 'pro', :at, 1)"),
            {"at": at},
        )
    upgrade.migrate(engine)
    rollouts = Rollouts(engine, FLAGS, now=clock)

    assert ({}, 0) == (rollouts.read().rollouts, rollouts.change_no())
    assert rollouts.get("liteLLM") is None
    rollouts.begin()
    rollouts.migrate("liteLLM", "ada")
    assert {("liteLLM", "ada"): Own.MIGRATED} == rollouts.read().users
    assert "pro" == Accounts(engine).get_account("ada").tier
