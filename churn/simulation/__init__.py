"""A telecom that never was: its regions, its customers, why they leave, and what its systems record of them."""
