"""The doorbell: Redis, the Celery app, its queues and messages. Imports no other room."""
