WITH known AS (
  SELECT DISTINCT
    user_id
  FROM acted
  WHERE
    since < CAST('2025-02-28 16:00:00' AS TIMESTAMP)
), pairs0 AS (
  SELECT
    user_id,
    "genre" AS value,
    MAX(time) AS last_time
  FROM events
  WHERE
    time < CAST('2025-02-28 16:00:00' AS TIMESTAMP)
    AND (
      "event" = 'read' AND time >= CAST('2025-02-21 16:00:00' AS TIMESTAMP)
    )
    AND NOT "genre" IS NULL
  GROUP BY
    1,
    2
), top0 AS (
  SELECT
    user_id,
    COUNT(*) AS c0
  FROM pairs0
  GROUP BY
    user_id
)
SELECT
  known.user_id,
  COALESCE(top0.c0, 0) AS "tag"
FROM known
LEFT JOIN top0
  ON top0.user_id = known.user_id
