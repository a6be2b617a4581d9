WITH known AS (
  SELECT DISTINCT
    user_id
  FROM acted
  WHERE
    since < CAST('2025-02-28 16:00:00' AS TIMESTAMP)
), acts0 AS (
  SELECT
    user_id,
    SUM(CAST("amount" AS DOUBLE)) AS a0,
    SUM(CAST("amount" AS DOUBLE)) FILTER(WHERE
      (
        "amount" >= 100
      )) AS a1
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
  CASE
    WHEN (
      CAST(COALESCE(acts0.a1, 0) AS DOUBLE) / NULLIF(acts0.a0, 0)
    ) BETWEEN 0 AND 1
    THEN CAST(COALESCE(acts0.a1, 0) AS DOUBLE) / NULLIF(acts0.a0, 0)
  END AS "tag"
FROM known
LEFT JOIN acts0
  ON acts0.user_id = known.user_id
