//! Shared HTTP client for connectors: TLS policy, one origin check, limits, fault classification.
