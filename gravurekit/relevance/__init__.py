"""Scores that say whether a picture shows what was asked for."""
