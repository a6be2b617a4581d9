WITH known AS (
  SELECT
    user_id
  FROM users_people
), stage0 AS (
  SELECT
    known.user_id,
    2025 - (
      `users_people`.`birth_year`
    ) AS `age`
  FROM known
  LEFT JOIN users_people
    ON users_people.user_id = known.user_id
)
SELECT
  stage0.user_id,
  `stage0`.`age`,
  CASE
    WHEN NOT `stage0`.`age` IS NULL AND `stage0`.`age` < CAST(18.0 AS DOUBLE)
    THEN 'young'
    WHEN NOT `stage0`.`age` IS NULL AND `stage0`.`age` < CAST(30.0 AS DOUBLE)
    THEN 'middle'
    WHEN NOT `stage0`.`age` IS NULL
    THEN 'older'
  END AS `tag`
FROM stage0
