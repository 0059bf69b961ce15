//! The engine's store in SQLite: journal, links, holds, history.
