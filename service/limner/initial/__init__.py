"""Beginning a workspace: the templates, and fitting one to the user's own files. The command is `limner init`."""
