"""What a reader sees: plots, and a static page with the leaderboard and a player."""
