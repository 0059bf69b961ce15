//! Speaks to Gallagher Command Centre through its REST API.

#![forbid(unsafe_code)]
