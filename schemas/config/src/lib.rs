//! Reads a service's TOML: every error at once, each with its place.
