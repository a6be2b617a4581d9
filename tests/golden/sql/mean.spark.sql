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
    time < CAST('2025-02-28 16:00:00' AS TIMESTAMP) AND `event` IN ('order')
), acts AS (
  SELECT
    user_id,
    AVG(CAST(`amount` AS DOUBLE)) FILTER(WHERE
      event = 'order' AND time >= CAST('2025-01-29 16:00:00' AS TIMESTAMP)) AS a0
  FROM seen
  GROUP BY
    user_id
)
SELECT
  known.user_id,
  acts.a0 AS `tag`
FROM known
LEFT JOIN acts
  ON acts.user_id = known.user_id
