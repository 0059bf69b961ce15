//! Configuration and mapping files, as people write them and get them wrong.

mod diagnostics;
mod lenient;
mod loading;
mod mutations;
mod reference;
mod sample;
mod shipped;
mod spoilt;
