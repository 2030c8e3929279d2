"""Who may do what: scopes, keys, and the guard before every route."""
