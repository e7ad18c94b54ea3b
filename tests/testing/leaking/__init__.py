"""Tests that leave things behind, and their twins that do not: see test_leaks."""
