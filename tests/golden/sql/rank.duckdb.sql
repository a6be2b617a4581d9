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
    time < CAST('2025-02-28 16:00:00' AS TIMESTAMP) AND "event" IN ('order')
), acts AS (
  SELECT
    user_id,
    AVG(CAST("amount" AS DOUBLE)) FILTER(WHERE
      event = 'order') AS a0
  FROM seen
  GROUP BY
    user_id
), stage0 AS (
  SELECT
    known.user_id,
    acts.a0 AS "spend"
  FROM known
  LEFT JOIN acts
    ON acts.user_id = known.user_id
)
SELECT
  stage0.user_id,
  "stage0"."spend",
  CASE WHEN NOT "stage0"."spend" IS NULL THEN "stage0"."over 0" END AS "tag"
FROM (
  SELECT
    *,
    PERCENT_RANK() OVER (PARTITION BY NOT "stage0"."spend" IS NULL ORDER BY "stage0"."spend" ASC) AS "over 0"
  FROM stage0
) AS stage0
