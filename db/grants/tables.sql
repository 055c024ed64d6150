-- What each user may do with the tables, for PostgreSQL: see roles.sql. Run it as the owner of the tables after each
-- `reviewmill db upgrade`. It takes away whatever was granted before.
BEGIN;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, reviewmill_producer, reviewmill_worker, reviewmill_reader;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC, reviewmill_producer, reviewmill_worker, reviewmill_reader;

-- Everybody may see what has been found out.
GRANT SELECT ON
  alembic_version, reviews, models, jobs, chunks, job_counts, predictions, failures, examples, training_metrics,
  precisions, token_budgets, workers
TO reviewmill_producer, reviewmill_worker, reviewmill_reader;
GRANT SELECT ON
  corrections, schedule_runs,
  latest_predictions, job_summary, label_by_day, model_disagreements
TO reviewmill_producer, reviewmill_reader;
-- But not whom a job's end is told to: such an address may be a secret of its own, and stands in schedules too.
GRANT SELECT ON schedules TO reviewmill_producer;
GRANT SELECT ON notifications TO reviewmill_producer, reviewmill_worker;

-- The producer stores reviews and jobs. It cannot write an answer, nor delete a review.
GRANT INSERT ON reviews, models, jobs, chunks, failures, examples, corrections, notifications TO reviewmill_producer;
GRANT UPDATE (metadata) ON reviews TO reviewmill_producer;
-- Nothing else of a version ever changes; wherever its files are, they are held against its digest.
GRANT UPDATE (aliases, path) ON models TO reviewmill_producer;
-- To cancel and to retry.
GRANT UPDATE (state, error, finished_at, schedule_id) ON jobs TO reviewmill_producer;
GRANT UPDATE (
  state, lease_owner, lease_expires_at, next_attempt_at, rung_at, lead_id, errors, deaths, size, scored, failed, error,
  review_ids
) ON chunks TO reviewmill_producer;
GRANT DELETE ON failures TO reviewmill_producer;
GRANT UPDATE (label, predicted, corrected_at) ON corrections TO reviewmill_producer;
GRANT INSERT, UPDATE, DELETE ON schedules, schedule_runs TO reviewmill_producer;
GRANT USAGE ON SEQUENCE
  reviews_id_seq, models_id_seq, jobs_id_seq, chunks_id_seq, failures_id_seq, notifications_id_seq, schedules_id_seq,
  schedule_runs_id_seq
TO reviewmill_producer;

-- The worker writes answers, and how far it is. It cannot change what it was given to read, nor make a job.
GRANT INSERT, UPDATE ON predictions, job_counts, precisions, token_budgets TO reviewmill_worker;
GRANT INSERT ON models, chunks, failures, training_metrics TO reviewmill_worker;
GRANT UPDATE (path) ON models TO reviewmill_worker;
GRANT UPDATE (state, model_id, error, started_at, finished_at, served_at) ON jobs TO reviewmill_worker;
GRANT UPDATE (
  state, attempt, lease_owner, lease_expires_at, next_attempt_at, rung_at, errors, deaths, lead_id, alone, device,
  device_s, tokens, batch_tokens, size, scored, reused, failed, error, review_ids
) ON chunks TO reviewmill_worker;
-- Points of a curve that is gone over again.
GRANT DELETE ON training_metrics TO reviewmill_worker;
GRANT INSERT, UPDATE, DELETE ON workers TO reviewmill_worker;
GRANT USAGE ON SEQUENCE models_id_seq, chunks_id_seq, failures_id_seq, training_metrics_id_seq TO reviewmill_worker;

-- Telling of a job's end, which a worker does beside its work, and beat.
GRANT UPDATE (
  state, attempts, next_attempt_at, lease_owner, lease_expires_at, status_code, last_error, sent_at
) ON notifications TO reviewmill_producer, reviewmill_worker;

COMMIT;
