//! A simulated PACS in one file, and a simulated directory, with faults on demand.
