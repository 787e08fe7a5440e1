"""What churn means: plain functions that read and write nothing."""
