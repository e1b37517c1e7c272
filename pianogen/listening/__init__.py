"""Blind listening tests: two sets of samples on a page, votes, and what they come to.

sets.py    a folder of music, or an experiment's samples
pairs.py   which sample stands beside which, on which side, and which pairs come twice
page.py    the page, and the key that says who was who
votes.py   vote files to the lake
"""
