//! The same values as text, JSON, CSV, HTML report and manual worklist.
