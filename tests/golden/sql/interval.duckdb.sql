WITH known AS (
  SELECT DISTINCT
    user_id
  FROM acted
  WHERE
    since < CAST('2025-02-28 16:00:00' AS TIMESTAMP)
), acts0 AS (
  SELECT
    user_id,
    MIN(time) AS a0,
    MAX(time) AS a1,
    COUNT(*) AS a2
  FROM events
  WHERE
    time < CAST('2025-02-28 16:00:00' AS TIMESTAMP) AND "event" = 'order'
  GROUP BY
    user_id
)
SELECT
  known.user_id,
  CAST(DATE_DIFF(
    'DAY',
    CAST(CASE
      WHEN acts0.a0 >= CAST('2019-03-01 04:00:00' AS TIMESTAMP)
      THEN acts0.a0 + INTERVAL '28800' SECOND
      ELSE (
        acts0.a0 AT TIME ZONE 'UTC'
      ) AT TIME ZONE 'Asia/Shanghai'
    END AS DATE),
    CAST(CASE
      WHEN acts0.a1 >= CAST('2019-03-01 04:00:00' AS TIMESTAMP)
      THEN acts0.a1 + INTERVAL '28800' SECOND
      ELSE (
        acts0.a1 AT TIME ZONE 'UTC'
      ) AT TIME ZONE 'Asia/Shanghai'
    END AS DATE)
  ) AS DOUBLE) / NULLIF(acts0.a2 - 1, 0) AS "tag"
FROM known
LEFT JOIN acts0
  ON acts0.user_id = known.user_id
