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
  CAST(DATEDIFF(
    DAY,
    CAST(FROM_UTC_TIMESTAMP((
      FROM_UTC_TIMESTAMP(acts.a0, 'UTC')
    ), 'Asia/Shanghai') AS DATE),
    CAST(FROM_UTC_TIMESTAMP((
      FROM_UTC_TIMESTAMP(acts.a1, 'UTC')
    ), 'Asia/Shanghai') AS DATE)
  ) AS DOUBLE) / NULLIF(acts.a2 - 1, 0) AS `tag`
FROM known
LEFT JOIN acts
  ON acts.user_id = known.user_id
