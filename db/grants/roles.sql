-- The users of a team's PostgreSQL database, made once by somebody who may make users, in the database itself:
--
--   psql -f roles.sql reviews
--   psql -c '\password reviewmill_owner' ...            a password for each; without one nobody logs in
--
-- Then, after each `reviewmill db upgrade`, which reviewmill_owner runs, tables.sql, as reviewmill_owner too. It may all
-- be run again. People may have users of their own: CREATE ROLE anna LOGIN IN ROLE reviewmill_reader.
--
--   reviewmill_owner     owns the tables: db upgrade, prune, forget, vacuum
--   reviewmill_producer  enqueues and asks: every other command, and beat
--   reviewmill_worker    works: reviewmill worker
--   reviewmill_reader    asks: results, report, jobs list, SQL, dashboards
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['reviewmill_owner', 'reviewmill_producer', 'reviewmill_worker', 'reviewmill_reader'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
      EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', name);
    END IF;
    -- Rows are copied in, and reports put together, by way of temporary tables.
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', current_database(), name);
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', name);
  END LOOP;
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE ON SCHEMA public TO reviewmill_owner;
