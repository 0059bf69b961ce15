//! What a NetBox does differently from what one would think, one test for each; and what it must not be able to do to
//! us.

mod cards;
mod common;
mod connecting;
mod dates;
mod hostile;
mod levels;
mod people;
mod reading;
