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
    time < CAST('2025-02-28 16:00:00' AS TIMESTAMP) AND "event" IN ('order')
), acts AS (
  SELECT
    user_id,
    MIN(time) FILTER(WHERE
      event = 'order') AS a0,
    MAX(time) FILTER(WHERE
      event = 'order') AS a1,
    COUNT(*) FILTER(WHERE
      event = 'order') AS a2
  FROM seen
  GROUP BY
    user_id
)
SELECT
  known.user_id,
  CAST(DATE_DIFF(
    'DAY',
    CAST((
      acts.a0 AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'Asia/Shanghai' AS DATE),
    CAST((
      acts.a1 AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'Asia/Shanghai' AS DATE)
  ) AS DOUBLE) / NULLIF(acts.a2 - 1, 0) AS "tag"
FROM known
LEFT JOIN acts
  ON acts.user_id = known.user_id
