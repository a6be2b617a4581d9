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
), acts AS (
  SELECT
    user_id,
    COUNT(*) FILTER(WHERE
      event = 'read' AND time >= CAST('2025-02-21 16:00:00' AS TIMESTAMP)) AS a0,
    COUNT(*) FILTER(WHERE
      event = 'read'
      AND time >= CAST('2025-02-14 16:00:00' AS TIMESTAMP)
      AND time < CAST('2025-02-21 16:00:00' AS TIMESTAMP)) AS a1
  FROM seen
  GROUP BY
    user_id
)
SELECT
  known.user_id,
  CAST(COALESCE(acts.a0, 0) AS DOUBLE) / NULLIF(acts.a1, 0) AS "tag"
FROM known
LEFT JOIN acts
  ON acts.user_id = known.user_id
