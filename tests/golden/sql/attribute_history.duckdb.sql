WITH known AS (
  SELECT DISTINCT
    user_id
  FROM users_people
  WHERE
    COALESCE(since, valid_from) < CAST('2025-03-01 00:00:00' AS TIMESTAMP)
)
SELECT
  known.user_id,
  "users_people"."city" AS "city",
  "users_people"."n" AS "n"
FROM known
LEFT JOIN users_people
  ON users_people.user_id = known.user_id
  AND (
    users_people.valid_from < CAST('2025-03-01 00:00:00' AS TIMESTAMP)
    AND (
      users_people.valid_to IS NULL
      OR users_people.valid_to >= CAST('2025-03-01 00:00:00' AS TIMESTAMP)
    )
  )
