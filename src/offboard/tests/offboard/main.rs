//! The emergency path against simulated PACS, with everything going wrong.

mod bed;
mod cut;
mod disk;
mod who;
