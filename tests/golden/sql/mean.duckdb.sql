WITH known AS (
  SELECT DISTINCT
    user_id
  FROM acted
  WHERE
    since < CAST('2025-02-28 16:00:00' AS TIMESTAMP)
), acts0 AS (
  SELECT
    user_id,
    AVG(CAST("amount" AS DOUBLE)) AS a0
  FROM events
  WHERE
    time < CAST('2025-02-28 16:00:00' AS TIMESTAMP)
    AND (
      "event" = 'order' AND time >= CAST('2025-01-29 16:00:00' AS TIMESTAMP)
    )
  GROUP BY
    user_id
)
SELECT
  known.user_id,
  acts0.a0 AS "tag"
FROM known
LEFT JOIN acts0
  ON acts0.user_id = known.user_id
