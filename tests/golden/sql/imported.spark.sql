WITH known AS (
  SELECT
    user_id
  FROM users_people
)
SELECT
  known.user_id,
  imported_ff1959e1.value AS `tag`
FROM known
LEFT JOIN imported_ff1959e1
  ON imported_ff1959e1.user_id = known.user_id
