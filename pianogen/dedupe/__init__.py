"""Which performances hold the same music, whatever its key, tempo and player.

Tiers: equal bytes and equal content hashes; then shingles of pitches, whose shares tell candidates.
"""
