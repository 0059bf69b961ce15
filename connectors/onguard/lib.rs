//! Speaks to LenelS2 OnGuard through OpenAccess.

#![forbid(unsafe_code)]
