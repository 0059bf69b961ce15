//! The planning core: snapshot, correlate, diff, guard, verify. Pure functions, no I/O.
