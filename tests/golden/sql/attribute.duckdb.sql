WITH known AS (
  SELECT
    user_id
  FROM users_people
)
SELECT
  known.user_id,
  "users_people"."city" AS "tag"
FROM known
LEFT JOIN users_people
  ON users_people.user_id = known.user_id
