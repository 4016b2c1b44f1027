"""The official Python clients: one file for each dialect that they speak."""
