"""The echo server of Go's talks: a task for each connection, and a graceful stop."""
