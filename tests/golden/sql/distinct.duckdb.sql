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
    COUNT(DISTINCT "genre") FILTER(WHERE
      event = 'read' AND time >= CAST('2025-02-21 16:00:00' AS TIMESTAMP)) AS a0
  FROM seen
  GROUP BY
    user_id
)
SELECT
  known.user_id,
  COALESCE(acts.a0, 0) AS "tag"
FROM known
LEFT JOIN acts
  ON acts.user_id = known.user_id
