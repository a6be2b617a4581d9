"""Contact data in the form that ad platforms match by: one module a kind of value, each as SQL over a whole column at a time."""
