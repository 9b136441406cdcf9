//! End to end tests, fault tests and measurements.
