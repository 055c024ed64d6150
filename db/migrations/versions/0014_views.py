"""Views for people who ask in SQL; docs/results.md says what they mean.

A view stands in the way of a later migration that rebuilds a table it reads, as batch mode does on SQLite: drop it
before, and make it again afterwards.
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

#: What the two databases say differently.
_WORDS = {
    "sqlite": {
        # No alias has a quote in it, so that this finds it in the text of the list, and nothing else.
        "m_is_production": "(instr(m.aliases, '\"production\"') > 0)",
        "o_is_production": "(instr(o.aliases, '\"production\"') > 0)",
        "b_may_say_a": "EXISTS (SELECT 1 FROM json_each(mb.labels) AS known WHERE known.value = a.label)",
        "a_may_say_b": "EXISTS (SELECT 1 FROM json_each(ma.labels) AS known WHERE known.value = b.label)",
        "day": "date(p.scored_at)",
        "source": "json_extract(j.params, '$.source')",
        "seconds": "round((julianday(finished_at) - julianday(coalesce(started_at, finished_at))) * 86400, 3)",
        "reviews_per_second": "round((j.scored + j.reused) / nullif(j.seconds, 0), 2)",
        "label_in_order": "counted.value",
    },
    "postgresql": {
        "m_is_production": "(m.aliases @> '[\"production\"]')",
        "o_is_production": "(o.aliases @> '[\"production\"]')",
        "b_may_say_a": "mb.labels @> to_jsonb(a.label)",
        "a_may_say_b": "ma.labels @> to_jsonb(b.label)",
        "day": "(p.scored_at AT TIME ZONE 'UTC')::date",
        "source": "j.params ->> 'source'",
        "seconds": "round(extract(epoch FROM finished_at - coalesce(started_at, finished_at)), 3)::double precision",
        "reviews_per_second": "round(((j.scored + j.reused) / nullif(j.seconds, 0))::numeric, 2)::double precision",
        "label_in_order": 'counted.value COLLATE "C"',
    },
}

#: What they say alike. The unique index on reviews answers it, with a look at the few revisions of one review.
_IS_NEWEST_REVISION = """NOT EXISTS (
        SELECT 1 FROM reviews AS newer
        WHERE newer.source = r.source AND newer.external_id = r.external_id AND newer.id > r.id
    )"""

# A condition on a review or on the id of a model must reach an index. So no window function numbers all rows before the
# condition is heard, and what is grouped is grouped by all that conditions are likely to name. (The name of a model
# reaches none on SQLite, which does not know how few models there are. To have it look for them first, by CROSS JOIN,
# would make it read the predictions in the order of an index: what asks for them all took seven times as long.)
_VIEWS = {
    "latest_predictions": """
    SELECT
        p.review_id, r.source, r.external_id, m.name || '@' || m.version AS model, p.label, p.score, p.margin,
        r.text, r.text_pair, r.metadata, p.probabilities,
        p.tokens, p.truncated, p.precision, p.reading, p.windows, p.scored_at, p.model_id, p.job_id
    FROM predictions AS p
    JOIN models AS m ON m.id = p.model_id
    JOIN reviews AS r ON r.id = p.review_id
    WHERE {is_newest_revision}
    AND NOT EXISTS (
        SELECT 1 FROM predictions AS other JOIN models AS o ON o.id = other.model_id
        WHERE other.review_id = p.review_id
        AND ({o_is_production}, other.model_id) > ({m_is_production}, p.model_id)
    )""",
    "job_summary": """
    SELECT
        j.id AS job_id, j.kind, j.state, m.name || '@' || m.version AS model, j.model_id, {source} AS source,
        j.schedule_id, j.priority, j.total, j.scored, j.reused, j.failed, j.seconds,
        CASE j.kind WHEN 'score' THEN {reviews_per_second} END AS reviews_per_second,
        top.value AS top_label, top.count / nullif(CAST(j.scored + j.reused AS double precision), 0) AS top_share,
        j.error, j.created_at, j.started_at, j.finished_at
    FROM (
        SELECT
            id, kind, state, model_id, params, schedule_id, priority, total, error, created_at, started_at, finished_at,
            {seconds} AS seconds,
            (SELECT coalesce(sum(c.scored), 0) FROM chunks AS c WHERE c.job_id = jobs.id) AS scored,
            (SELECT coalesce(sum(c.reused), 0) FROM chunks AS c WHERE c.job_id = jobs.id) AS reused,
            (SELECT coalesce(sum(c.failed), 0) FROM chunks AS c WHERE c.job_id = jobs.id) + jobs.rejected AS failed
        FROM jobs
    ) AS j
    LEFT JOIN models AS m ON m.id = j.model_id
    LEFT JOIN job_counts AS top ON top.job_id = j.id AND top.counted = 'label' AND top.value = (
        SELECT counted.value FROM job_counts AS counted WHERE counted.job_id = j.id AND counted.counted = 'label'
        ORDER BY counted.count DESC, {label_in_order} LIMIT 1
    )""",
    "label_by_day": """
    SELECT
        day, model, model_id, label, reviews, mean_score,
        reviews / CAST(sum(reviews) OVER (PARTITION BY day, model, model_id) AS double precision) AS share
    FROM (
        SELECT
            {day} AS day, m.name || '@' || m.version AS model, m.id AS model_id, p.label,
            count(*) AS reviews, avg(p.score) AS mean_score
        FROM predictions AS p
        JOIN models AS m ON m.id = p.model_id
        GROUP BY 1, 2, 3, 4
    ) AS counted""",
    "model_disagreements": """
    SELECT
        a.review_id, r.source, r.external_id,
        ma.name || '@' || ma.version AS model_a, a.label AS label_a, a.score AS score_a,
        mb.name || '@' || mb.version AS model_b, b.label AS label_b, b.score AS score_b,
        r.text, r.text_pair, r.metadata, a.model_id AS model_a_id, b.model_id AS model_b_id
    FROM predictions AS a
    JOIN models AS ma ON ma.id = a.model_id
    JOIN predictions AS b ON b.review_id = a.review_id AND b.model_id > a.model_id AND b.label <> a.label
    JOIN models AS mb ON mb.id = b.model_id
    JOIN reviews AS r ON r.id = a.review_id
    WHERE {is_newest_revision}
    AND {b_may_say_a} AND {a_may_say_b}""",
}


def upgrade() -> None:
    """Make the views."""
    words = {**_WORDS[op.get_bind().dialect.name], "is_newest_revision": _IS_NEWEST_REVISION}
    for name, select in _VIEWS.items():
        op.get_bind().exec_driver_sql(f"CREATE VIEW {name} AS {select.format(**words)}")


def downgrade() -> None:
    """Drop them again."""
    for name in _VIEWS:
        op.get_bind().exec_driver_sql(f"DROP VIEW {name}")
