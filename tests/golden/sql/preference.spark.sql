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
    time < CAST('2025-02-28 16:00:00' AS TIMESTAMP) AND `event` IN ('read')
), top0 AS (
  SELECT
    user_id,
    MAX_BY(value, STRUCT(weight AS weight, last_time AS last_time, value AS value)) AS value
  FROM (
    SELECT
      user_id,
      `genre` AS value,
      COUNT(*) AS weight,
      MAX(time) AS last_time
    FROM seen
    WHERE
      (
        event = 'read' AND time >= CAST('2025-01-29 16:00:00' AS TIMESTAMP)
      )
      AND NOT `genre` IS NULL
    GROUP BY
      user_id,
      `genre`
  ) AS counted
  GROUP BY
    user_id
)
SELECT
  known.user_id,
  top0.value AS `tag`
FROM known
LEFT JOIN top0
  ON top0.user_id = known.user_id
