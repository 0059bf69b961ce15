//! Whole-engine simulation from one seed: crash sweep and fault swarm against an independent oracle.
