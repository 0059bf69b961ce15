//! Drives a run: reads both sides, applies approved plans, resumes, fuses. Knows no adapter.
