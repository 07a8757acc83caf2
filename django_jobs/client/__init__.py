"""What a project imports: tasks, sending their jobs, and handles on them."""
