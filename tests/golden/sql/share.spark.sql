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
    SUM(CAST(`amount` AS DOUBLE)) FILTER(WHERE
      event = 'order' AND time >= CAST('2025-01-29 16:00:00' AS TIMESTAMP)) AS a0,
    SUM(CAST(`amount` AS DOUBLE)) FILTER(WHERE
      (
        event = 'order' AND time >= CAST('2025-01-29 16:00:00' AS TIMESTAMP)
      )
      AND (
        `amount` >= 100
      )) AS a1
  FROM seen
  GROUP BY
    user_id
)
SELECT
  known.user_id,
  CASE
    WHEN (
      CAST(COALESCE(acts.a1, 0) AS DOUBLE) / NULLIF(acts.a0, 0)
    ) BETWEEN 0 AND 1
    THEN CAST(COALESCE(acts.a1, 0) AS DOUBLE) / NULLIF(acts.a0, 0)
  END AS `tag`
FROM known
LEFT JOIN acts
  ON acts.user_id = known.user_id
