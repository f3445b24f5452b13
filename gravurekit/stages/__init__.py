"""Stages: the verbs. Each reads Records, hands pictures to the crafts, and writes Records; none knows a terminal."""
