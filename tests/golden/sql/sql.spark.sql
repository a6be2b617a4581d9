WITH known AS (
  SELECT DISTINCT
    user_id
  FROM acted
  WHERE
    since < CAST('2025-02-28 16:00:00' AS TIMESTAMP)
), acts0 AS (
  SELECT
    user_id,
    COUNT(*) AS a0,
    SUM(CAST(`amount` AS DOUBLE)) AS a1
  FROM events
  WHERE
    time < CAST('2025-02-28 16:00:00' AS TIMESTAMP) AND `event` = 'order'
  GROUP BY
    user_id
), stage0 AS (
  SELECT
    known.user_id,
    COALESCE(acts0.a0, 0) AS `order_count`,
    COALESCE(acts0.a1, 0) AS `spend`
  FROM known
  LEFT JOIN acts0
    ON acts0.user_id = known.user_id
)
SELECT
  stage0.user_id,
  `stage0`.`order_count`,
  `stage0`.`spend`,
  CASE
    WHEN ROUND(
      CAST(`stage0`.`spend` AS DOUBLE) / NULLIF(CAST(`stage0`.`order_count` AS DOUBLE), 0),
      2
    ) BETWEEN CAST(-1.7976931348623157E+308 AS DOUBLE) AND CAST(1.7976931348623157e+308 AS DOUBLE)
    THEN ROUND(
      CAST(`stage0`.`spend` AS DOUBLE) / NULLIF(CAST(`stage0`.`order_count` AS DOUBLE), 0),
      2
    )
  END AS `tag`
FROM stage0
