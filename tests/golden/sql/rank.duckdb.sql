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
    time < CAST('2025-02-28 16:00:00' AS TIMESTAMP) AND "event" = 'order'
  GROUP BY
    user_id
), stage0 AS (
  SELECT
    known.user_id,
    acts0.a0 AS "spend"
  FROM known
  LEFT JOIN acts0
    ON acts0.user_id = known.user_id
), placed_stage0 AS (
  SELECT
    user_id,
    PERCENT_RANK() OVER (PARTITION BY NOT "stage0"."spend" IS NULL ORDER BY "stage0"."spend" ASC) AS v0
  FROM stage0
)
SELECT
  stage0.user_id,
  "stage0"."spend",
  CASE WHEN NOT "stage0"."spend" IS NULL THEN placed_stage0.v0 END AS "tag"
FROM stage0
LEFT JOIN placed_stage0
  ON placed_stage0.user_id = stage0.user_id
