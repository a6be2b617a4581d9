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
    MAX(time) FILTER(WHERE
      event = 'order') AS a0,
    COUNT(*) FILTER(WHERE
      event = 'order') AS a1,
    SUM(CAST(`amount` AS DOUBLE)) FILTER(WHERE
      event = 'order') AS a2
  FROM seen
  GROUP BY
    user_id
), stage0 AS (
  SELECT
    known.user_id,
    DATEDIFF(
      DAY,
      CAST(FROM_UTC_TIMESTAMP((
        FROM_UTC_TIMESTAMP(acts.a0, 'UTC')
      ), 'Asia/Shanghai') AS DATE),
      CAST('2025-03-01' AS DATE)
    ) AS `days_since_order`,
    COALESCE(acts.a1, 0) AS `order_count`,
    COALESCE(acts.a2, 0) AS `spend`
  FROM known
  LEFT JOIN acts
    ON acts.user_id = known.user_id
)
SELECT
  stage0.user_id,
  `stage0`.`days_since_order`,
  `stage0`.`order_count`,
  `stage0`.`spend`,
  CASE
    WHEN NOT `stage0`.`days_since_order` IS NULL
    AND NOT `stage0`.`order_count` IS NULL
    AND NOT `stage0`.`spend` IS NULL
    THEN CASE
      WHEN `stage0`.`days_since_order` <= `stage0`.`over 0`
      AND `stage0`.`order_count` >= `stage0`.`over 1`
      AND `stage0`.`spend` >= `stage0`.`over 2`
      THEN 'important_value'
      WHEN NOT (
        `stage0`.`days_since_order` <= `stage0`.`over 0`
      )
      AND `stage0`.`order_count` >= `stage0`.`over 1`
      AND `stage0`.`spend` >= `stage0`.`over 2`
      THEN 'important_keep'
      WHEN `stage0`.`days_since_order` <= `stage0`.`over 0`
      AND NOT (
        `stage0`.`order_count` >= `stage0`.`over 1`
      )
      AND `stage0`.`spend` >= `stage0`.`over 2`
      THEN 'important_develop'
      WHEN NOT (
        `stage0`.`days_since_order` <= `stage0`.`over 0`
      )
      AND NOT (
        `stage0`.`order_count` >= `stage0`.`over 1`
      )
      AND `stage0`.`spend` >= `stage0`.`over 2`
      THEN 'important_win_back'
      WHEN `stage0`.`days_since_order` <= `stage0`.`over 0`
      AND `stage0`.`order_count` >= `stage0`.`over 1`
      AND NOT (
        `stage0`.`spend` >= `stage0`.`over 2`
      )
      THEN 'general_value'
      WHEN NOT (
        `stage0`.`days_since_order` <= `stage0`.`over 0`
      )
      AND `stage0`.`order_count` >= `stage0`.`over 1`
      AND NOT (
        `stage0`.`spend` >= `stage0`.`over 2`
      )
      THEN 'general_keep'
      WHEN `stage0`.`days_since_order` <= `stage0`.`over 0`
      AND NOT (
        `stage0`.`order_count` >= `stage0`.`over 1`
      )
      AND NOT (
        `stage0`.`spend` >= `stage0`.`over 2`
      )
      THEN 'general_develop'
      WHEN NOT (
        `stage0`.`days_since_order` <= `stage0`.`over 0`
      )
      AND NOT (
        `stage0`.`order_count` >= `stage0`.`over 1`
      )
      AND NOT (
        `stage0`.`spend` >= `stage0`.`over 2`
      )
      THEN 'general_win_back'
    END
  END AS `tag`
FROM (
  SELECT
    *,
    AVG(CAST(`stage0`.`days_since_order` AS DOUBLE)) OVER (
      PARTITION BY NOT `stage0`.`days_since_order` IS NULL
      AND NOT `stage0`.`order_count` IS NULL
      AND NOT `stage0`.`spend` IS NULL
    ) AS `over 0`,
    AVG(CAST(`stage0`.`order_count` AS DOUBLE)) OVER (
      PARTITION BY NOT `stage0`.`days_since_order` IS NULL
      AND NOT `stage0`.`order_count` IS NULL
      AND NOT `stage0`.`spend` IS NULL
    ) AS `over 1`,
    AVG(CAST(`stage0`.`spend` AS DOUBLE)) OVER (
      PARTITION BY NOT `stage0`.`days_since_order` IS NULL
      AND NOT `stage0`.`order_count` IS NULL
      AND NOT `stage0`.`spend` IS NULL
    ) AS `over 2`
  FROM stage0
) AS stage0
