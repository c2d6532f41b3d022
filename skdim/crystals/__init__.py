"""Anything crystal-like in, checked pymatgen structures and the reasons of rows that failed out."""
