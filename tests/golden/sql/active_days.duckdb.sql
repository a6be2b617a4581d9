WITH known AS (
  SELECT DISTINCT
    user_id
  FROM acted
  WHERE
    since < CAST('2025-02-28 16:00:00' AS TIMESTAMP)
), days0 AS (
  SELECT
    user_id,
    CAST(BIT_COUNT(
      BIT_OR(
        CASE
          WHEN place BETWEEN 0 AND 61
          THEN CAST(1 AS BIGINT) << place
          ELSE CAST(0 AS BIGINT)
        END
      )
    ) AS BIGINT) AS d0
  FROM (
    SELECT
      user_id,
      time,
      CAST(DATE_DIFF(
        'DAY',
        CAST(CASE
          WHEN time >= CAST('2019-03-01 04:00:00' AS TIMESTAMP)
          THEN time + INTERVAL '28800' SECOND
          ELSE (
            time AT TIME ZONE 'UTC'
          ) AT TIME ZONE 'Asia/Shanghai'
        END AS DATE),
        CAST('2025-03-01' AS DATE)
      ) + 1 AS INT) AS place
    FROM events
    WHERE
      time < CAST('2025-02-28 16:00:00' AS TIMESTAMP)
      AND (
        "event" IN ('login', 'read') AND time >= CAST('2025-02-21 16:00:00' AS TIMESTAMP)
      )
  ) AS days
  GROUP BY
    user_id
)
SELECT
  known.user_id,
  COALESCE(days0.d0, 0) AS "tag"
FROM known
LEFT JOIN days0
  ON days0.user_id = known.user_id
