//! Starts real servers on loopback for tests.
