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
    COUNT(*) AS a1,
    SUM(CAST("amount" AS DOUBLE)) AS a2
  FROM events
  WHERE
    time < CAST('2025-02-28 16:00:00' AS TIMESTAMP) AND "event" = 'order'
  GROUP BY
    user_id
), stage0 AS (
  SELECT
    known.user_id,
    DATE_DIFF(
      'DAY',
      CAST(CASE
        WHEN acts0.a0 >= CAST('2019-03-01 04:00:00' AS TIMESTAMP)
        THEN acts0.a0 + INTERVAL '28800' SECOND
        ELSE (
          acts0.a0 AT TIME ZONE 'UTC'
        ) AT TIME ZONE 'Asia/Shanghai'
      END AS DATE),
      CAST('2025-03-01' AS DATE)
    ) AS "days_since_order",
    COALESCE(acts0.a1, 0) AS "order_count",
    COALESCE(acts0.a2, 0) AS "spend"
  FROM known
  LEFT JOIN acts0
    ON acts0.user_id = known.user_id
), overall_stage0 AS (
  SELECT
    AVG(CAST("stage0"."days_since_order" AS DOUBLE)) FILTER(WHERE
      NOT "stage0"."days_since_order" IS NULL
      AND NOT "stage0"."order_count" IS NULL
      AND NOT "stage0"."spend" IS NULL) AS v0,
    AVG(CAST("stage0"."order_count" AS DOUBLE)) FILTER(WHERE
      NOT "stage0"."days_since_order" IS NULL
      AND NOT "stage0"."order_count" IS NULL
      AND NOT "stage0"."spend" IS NULL) AS v1,
    AVG(CAST("stage0"."spend" AS DOUBLE)) FILTER(WHERE
      NOT "stage0"."days_since_order" IS NULL
      AND NOT "stage0"."order_count" IS NULL
      AND NOT "stage0"."spend" IS NULL) AS v2
  FROM stage0
)
SELECT
  stage0.user_id,
  "stage0"."days_since_order",
  "stage0"."order_count",
  "stage0"."spend",
  CASE
    WHEN NOT "stage0"."days_since_order" IS NULL
    AND NOT "stage0"."order_count" IS NULL
    AND NOT "stage0"."spend" IS NULL
    THEN CASE
      WHEN "stage0"."days_since_order" <= overall_stage0.v0
      AND "stage0"."order_count" >= overall_stage0.v1
      AND "stage0"."spend" >= overall_stage0.v2
      THEN 'important_value'
      WHEN NOT (
        "stage0"."days_since_order" <= overall_stage0.v0
      )
      AND "stage0"."order_count" >= overall_stage0.v1
      AND "stage0"."spend" >= overall_stage0.v2
      THEN 'important_keep'
      WHEN "stage0"."days_since_order" <= overall_stage0.v0
      AND NOT (
        "stage0"."order_count" >= overall_stage0.v1
      )
      AND "stage0"."spend" >= overall_stage0.v2
      THEN 'important_develop'
      WHEN NOT (
        "stage0"."days_since_order" <= overall_stage0.v0
      )
      AND NOT (
        "stage0"."order_count" >= overall_stage0.v1
      )
      AND "stage0"."spend" >= overall_stage0.v2
      THEN 'important_win_back'
      WHEN "stage0"."days_since_order" <= overall_stage0.v0
      AND "stage0"."order_count" >= overall_stage0.v1
      AND NOT (
        "stage0"."spend" >= overall_stage0.v2
      )
      THEN 'general_value'
      WHEN NOT (
        "stage0"."days_since_order" <= overall_stage0.v0
      )
      AND "stage0"."order_count" >= overall_stage0.v1
      AND NOT (
        "stage0"."spend" >= overall_stage0.v2
      )
      THEN 'general_keep'
      WHEN "stage0"."days_since_order" <= overall_stage0.v0
      AND NOT (
        "stage0"."order_count" >= overall_stage0.v1
      )
      AND NOT (
        "stage0"."spend" >= overall_stage0.v2
      )
      THEN 'general_develop'
      WHEN NOT (
        "stage0"."days_since_order" <= overall_stage0.v0
      )
      AND NOT (
        "stage0"."order_count" >= overall_stage0.v1
      )
      AND NOT (
        "stage0"."spend" >= overall_stage0.v2
      )
      THEN 'general_win_back'
    END
  END AS "tag"
FROM stage0
CROSS JOIN overall_stage0
