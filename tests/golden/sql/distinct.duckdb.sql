WITH known AS (
  SELECT DISTINCT
    user_id
  FROM events
  WHERE
    time < CAST('2025-02-28 16:00:00' AS TIMESTAMP)
), seen AS (
  SELECT
    *
  FROM events
  WHERE
    time < CAST('2025-02-28 16:00:00' AS TIMESTAMP) AND "event" IN ('read')
), top0 AS (
  SELECT
    user_id,
    COUNT(*) AS count
  FROM (
    SELECT DISTINCT
      user_id,
      "genre" AS value
    FROM seen
    WHERE
      (
        event = 'read' AND time >= CAST('2025-02-21 16:00:00' AS TIMESTAMP)
      )
      AND NOT "genre" IS NULL
  ) AS pairs
  GROUP BY
    user_id
)
SELECT
  known.user_id,
  COALESCE(top0.count, 0) AS "tag"
FROM known
LEFT JOIN top0
  ON top0.user_id = known.user_id
