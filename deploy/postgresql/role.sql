-- The gateway's role and database. As the server's administrator, once:  psql -f role.sql
-- The password is read from a file, so that it is in no history and no process list.
\set ON_ERROR_STOP on
-- Another name: psql -v role=other -f role.sql
\if :{?role} \else
    \set role scalix
\endif
\set password `cat "${SCALIX_PASSWORD_FILE:-/run/secrets/postgres_password}"`
-- A statement with a password in it must not be in the log.
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
SET password_encryption = 'scram-sha-256';
CREATE ROLE :"role" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION CONNECTION LIMIT 180 PASSWORD :'password';
-- Its own: it makes and upgrades its tables itself. Nobody else's business.
CREATE DATABASE :"role" OWNER :"role" ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE :"role" FROM PUBLIC;
