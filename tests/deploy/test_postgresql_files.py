"""The files for PostgreSQL are taken by a real server, and a gateway's tables fit behind them."""

import os
import re
import subprocess
import uuid
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url, text

from scalix_callbacks.ledger.database import connect, migrate, reading
from tests.deploy.tools import DEPLOY
from tests.postgresql_server import MISSING, PostgresqlServer, programs

CONFIG = DEPLOY / "postgresql" / "postgresql.conf"


@pytest.fixture(scope="module")
def folder() -> Path:
    """Of the server's programs."""
    found = programs()
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(MISSING)
    assert found is not None
    return found


def test_the_server_takes_every_setting(folder: Path) -> None:
    """And has it: one in a comment or misspelt would do nothing."""
    wanted = dict(re.findall(r"^(\w+) = (\S+)", CONFIG.read_text(), re.MULTILINE))
    public = Path(subprocess.check_output(["mktemp", "--suffix=.conf"], text=True).strip())
    public.write_text(CONFIG.read_text())
    public.chmod(0o644)  # the server of the tests may be another user's
    try:
        with PostgresqlServer(folder, config_file=str(public), max_connections="200") as server:
            engine = connect(server.url)
            with reading(engine) as connection:
                rows = connection.execute(text("SELECT name, current_setting(name) FROM pg_settings")).all()
                shown = {row[0]: str(row[1]) for row in rows}
                unread = connection.execute(
                    text("SELECT error FROM pg_file_settings WHERE error IS NOT NULL")
                )
                assert [] == list(unread.scalars())
            engine.dispose()
    finally:
        public.unlink()

    # The server of the tests is told otherwise: it need not outlive a power cut.
    del wanted["synchronous_commit"]
    assert {name: value.lower() for name, value in wanted.items()} == {
        name: shown[name].lower() for name in wanted
    }


def test_the_role_owns_its_database_and_nothing_else(
    folder: Path, postgresql_url: str, tmp_path: Path
) -> None:
    """It makes its own tables; it is no administrator; nobody else gets in."""
    role = f"scalix_{uuid.uuid4().hex[:12]}"
    (tmp_path / "password").write_text("a-password's-\\text")
    words = (
        "--no-psqlrc",
        "--quiet",
        "-v",
        f"role={role}",
        "-f",
        DEPLOY / "postgresql" / "role.sql",
        postgresql_url,
    )
    environment = {**os.environ, "SCALIX_PASSWORD_FILE": str(tmp_path / "password")}
    subprocess.run([folder / "psql", *words], env=environment, check=True, capture_output=True)
    own = make_url(postgresql_url).set(username=role, database=role, password="a-password's-\\text")
    try:
        engine = connect(own.render_as_string(hide_password=False))
        migrate(engine)
        with reading(engine) as connection:
            rights = "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication FROM pg_roles"
            found = connection.execute(text(f"{rights} WHERE rolname = current_user")).one()
        engine.dispose()

        assert (False, False, False, False) == tuple(found)
        with psycopg.connect(postgresql_url) as server:
            public = "SELECT has_database_privilege('public', %s, 'CONNECT')"
            assert (False,) == server.execute(public, (role,)).fetchone()
            kept = server.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (role,)).fetchone()
            assert kept is not None and kept[0].startswith("SCRAM-SHA-256$")
    finally:
        with psycopg.connect(postgresql_url, autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(role)))
            server.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
