//! The traps that a naive reader of Graph falls into, one test each, named and numbered; and every kind of trouble on the
//! wire: none of it is ever read as somebody gone, a group empty, or a person not in it.

#[path = "../simulator/mod.rs"]
mod simulator;

mod changes;
mod edits;
mod groups;
mod people;
mod requests;
mod sign_in;
mod sizes;
mod trouble;
mod world;
