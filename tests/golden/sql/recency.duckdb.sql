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
    time < CAST('2025-02-28 16:00:00' AS TIMESTAMP) AND "event" IN ('login')
), acts AS (
  SELECT
    user_id,
    MAX(time) FILTER(WHERE
      event = 'login') AS a0
  FROM seen
  GROUP BY
    user_id
)
SELECT
  known.user_id,
  DATE_DIFF(
    'DAY',
    CAST((
      acts.a0 AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'Asia/Shanghai' AS DATE),
    CAST('2025-03-01' AS DATE)
  ) AS "tag"
FROM known
LEFT JOIN acts
  ON acts.user_id = known.user_id
