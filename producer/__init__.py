"""The producer reads reviews, checks each one, cuts them into chunks and enqueues jobs."""
