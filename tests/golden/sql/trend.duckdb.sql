WITH known AS (
  SELECT DISTINCT
    user_id
  FROM acted
  WHERE
    since < CAST('2025-02-28 16:00:00' AS TIMESTAMP)
), acts0 AS (
  SELECT
    user_id,
    COUNT(*) FILTER(WHERE
      time >= CAST('2025-02-21 16:00:00' AS TIMESTAMP)) AS a0,
    COUNT(*) FILTER(WHERE
      time < CAST('2025-02-21 16:00:00' AS TIMESTAMP)) AS a1
  FROM events
  WHERE
    time < CAST('2025-02-28 16:00:00' AS TIMESTAMP)
    AND (
      "event" = 'read' AND time >= CAST('2025-02-14 16:00:00' AS TIMESTAMP)
    )
  GROUP BY
    user_id
)
SELECT
  known.user_id,
  CAST(COALESCE(acts0.a0, 0) AS DOUBLE) / NULLIF(acts0.a1, 0) AS "tag"
FROM known
LEFT JOIN acts0
  ON acts0.user_id = known.user_id
