"""Was it good: data quality, metrics in SQL, drift, and the reports made of them."""
