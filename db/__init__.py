"""The truth: tables, migrations, sessions and every query. Imports no other room."""
