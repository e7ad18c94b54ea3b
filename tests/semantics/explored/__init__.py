"""What channels, selects and groups promise, as small programs under many schedules."""
