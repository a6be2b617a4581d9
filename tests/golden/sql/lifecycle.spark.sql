WITH known AS (
  SELECT DISTINCT
    user_id
  FROM acted
  WHERE
    since < CAST('2025-02-28 16:00:00' AS TIMESTAMP)
), acts0 AS (
  SELECT
    user_id,
    MAX(time) AS a0,
    COUNT(*) AS a1
  FROM events
  WHERE
    time < CAST('2025-02-28 16:00:00' AS TIMESTAMP) AND `event` = 'order'
  GROUP BY
    user_id
), stage0 AS (
  SELECT
    known.user_id,
    DATEDIFF(
      DAY,
      CAST(CASE
        WHEN acts0.a0 >= CAST('2019-03-01 04:00:00' AS TIMESTAMP)
        THEN acts0.a0 + INTERVAL '28800' SECOND
        ELSE FROM_UTC_TIMESTAMP((
          FROM_UTC_TIMESTAMP(acts0.a0, 'UTC')
        ), 'Asia/Shanghai')
      END AS DATE),
      CAST('2025-03-01' AS DATE)
    ) AS `days_since_order`,
    COALESCE(acts0.a1, 0) AS `order_count`
  FROM known
  LEFT JOIN acts0
    ON acts0.user_id = known.user_id
)
SELECT
  stage0.user_id,
  `stage0`.`days_since_order`,
  `stage0`.`order_count`,
  CASE
    WHEN `stage0`.`order_count` = 0
    THEN 'potential'
    WHEN `stage0`.`order_count` = 1 AND `stage0`.`days_since_order` <= 14
    THEN 'new'
    WHEN `stage0`.`days_since_order` <= 30
    THEN 'active'
    WHEN `stage0`.`days_since_order` <= 60
    THEN 'at_risk'
    WHEN `stage0`.`days_since_order` > 60
    THEN 'lapsed'
  END AS `tag`
FROM stage0
