"""The cache: fingerprints, keys, records and the content-addressed store. Knows neither doit nor disks."""
