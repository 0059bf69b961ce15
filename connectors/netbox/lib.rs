//! Speaks to LenelS2 NetBox through its NBAPI.

#![forbid(unsafe_code)]
